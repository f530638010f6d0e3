/** `./vp test --kubernetes`: the Kubernetes launcher and the Helm chart on a real cluster. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PLATFORM_VERSION } from "@vision-platform/common/version";
import { wholeEnvironment } from "./config.ts";
import { docker, engineAnswers } from "./images-docker.ts";
import { type TestCluster, testCluster } from "./kubernetes-cluster.ts";
import { ROOT } from "./paths.ts";
import { installEnvs } from "./prepare.ts";
import { createProgress, progressMode } from "./progress.ts";
import { demoEnv } from "./python-env.ts";
import { commandRunner, runSuite, type SuiteResult, sumUp } from "./suite.ts";
import { vitest } from "./test-programs.ts";
import { startTestServices } from "./test-services.ts";
import { runTool } from "./tool.ts";

const LAUNCHER = ["services/worker/src/launchers/kubernetes"];
const CHART = ["e2e/src/kubernetes.cluster-test.ts"];
const SERVICES = ["gateway", "worker", "notifier"];
const FRAMEWORKS = ["dataset", "timm", "huggingface", "ultralytics", "custom"];
const SCRIPTED_IMAGE = join(ROOT, "services/worker/src/testing/scripted-image.ts");

const imageOf = (part: string) => `vision-platform-${part}:${PLATFORM_VERSION}`;
const isThere = (asked: Promise<unknown>) =>
  asked.then(
    () => true,
    () => false,
  );

async function imagesThere(parts: string[]): Promise<string[]> {
  const there = await Promise.all(parts.map((part) => isThere(docker(["image", "inspect", imageOf(part)]))));
  return parts.filter((_, index) => there[index]);
}

/** What the chart's scenario runs with, loaded; or why it cannot run. */
async function prepareChart(cluster: TestCluster): Promise<{ frameworks: string[] } | { missing: string }> {
  if (!(await isThere(runTool("helm", ["version"], { env: wholeEnvironment() }))))
    return { missing: "helm on the PATH" };
  const there = await imagesThere([...SERVICES, ...FRAMEWORKS]);
  const missing = [...SERVICES, "dataset"].filter((part) => !there.includes(part));
  if (missing.length > 0) return { missing: `images of ${missing.join(", ")} (./vp images build)` };
  await cluster.load(there.map(imageOf));
  return { frameworks: there.filter((part) => FRAMEWORKS.includes(part)) };
}

/**
 * Brings a cluster up (or takes kind's or k3d's), loads images, and runs what needs one. Where there is no cluster, that
 * is said, and counted as skipped.
 * @returns the exit code; non-zero when anything failed.
 */
export async function testKubernetes(json: boolean): Promise<number> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const cluster = (await engineAnswers()) ? await testCluster() : undefined;
  if (cluster === undefined) {
    say("skipped: needs a Docker engine and a cluster of kind or k3d as the current context");
    process.stdout.write("0 passed, 0 failed, 1 skipped\n");
    return 0;
  }
  say(`on ${cluster.name}`);
  const reports = mkdtempSync(join(tmpdir(), "vp-reports-"));
  const servers = await startTestServices();
  const results: SuiteResult[] = [];
  try {
    const image = (await runTool(process.execPath, [SCRIPTED_IMAGE], { env: wholeEnvironment() })).trim();
    await cluster.load([image]);
    const env: Record<string, string> = {
      KUBECONFIG: cluster.kubeconfig,
      TEST_KUBERNETES_HOST: cluster.host,
      TEST_KUBERNETES_IMAGE: image,
      TEST_KUBECTL: cluster.kubectl,
    };
    const suite = (name: string, files: string[]) =>
      runSuite(name, json, () =>
        vitest({ run: commandRunner(json), env: { ...servers.env, ...env }, reports }, [
          ...["--project", "kubernetes"],
          ...files,
        ]),
      );
    results.push(await suite("kubernetes launcher", LAUNCHER));
    const chart = await prepareChart(cluster);
    if ("missing" in chart) {
      say(`skipped: the chart's scenario needs ${chart.missing}`);
      results.push({ name: "chart", passed: 0, failed: 0, skipped: 1, seconds: 0 });
    } else {
      await installEnvs([demoEnv()], createProgress(progressMode(json), 1));
      env.TEST_KUBERNETES_FRAMEWORKS = chart.frameworks.join(",");
      results.push(await suite("chart", CHART));
    }
  } finally {
    await servers.stop();
    rmSync(reports, { recursive: true, force: true });
    await cluster.stop();
  }
  return sumUp(results, json);
}
