import { existsSync, readFileSync } from "node:fs";
import { createLogger } from "@vision-platform/common/logger";
import { afterAll, expect, it } from "vitest";
import { readConfig } from "../../config.ts";
import { removeLaunchFolders, scriptedLaunch } from "../../testing/launch-spec.ts";
import { launcherConformance } from "../../testing/launcher-conformance.ts";
import { eventually } from "../../testing/platform.ts";
import { SCRIPTED_COMMAND } from "../../testing/scripted-image.ts";
import type { Launcher } from "../launcher.ts";
import { createSubprocessLauncher } from "../subprocess.ts";
import { createKubernetesLauncher } from "./kubernetes-launcher.ts";
import { testCluster } from "./testing/config.ts";
import { makeNamespace } from "./testing/namespace.ts";

const { TEST_KUBERNETES_IMAGE: image } = testCluster();
const namespace = await makeNamespace("launcher");
afterAll(async () => {
  removeLaunchFolders();
  await namespace.remove();
});

const settings = namespace.settingsFile({ image_pull_policy: "Never", limits: { cpu: "1", memory: "512Mi" } });

const config = readConfig({
  FRAMEWORK: "scripted",
  GATEWAY_URL: "http://127.0.0.1:9",
  INTERNAL_TOKEN: "x".repeat(32),
  REDIS_URL: "redis://127.0.0.1:9",
  S3_ENDPOINT: "http://127.0.0.1:9",
  S3_ACCESS_KEY_ID: "id",
  S3_SECRET_ACCESS_KEY: "secret",
  STORAGE_BUCKET: "bucket",
  WORK_DIR: "/nowhere",
  TRAINERS_DIR: "/nowhere",
  TRAINER_ENVS_DIR: "/nowhere",
  KUBERNETES_NAMESPACE: namespace.name,
  KUBERNETES_SETTINGS_FILE: settings,
});
const create = () => createKubernetesLauncher(config, createLogger("test", "warn"));

launcherConformance("kubernetes", { create, adjust: (spec) => ({ ...spec, image, command: SCRIPTED_COMMAND }) });

/** Seconds from the launch to the trainer's first word in its log. */
async function startTime(launcher: Launcher, container: boolean): Promise<number> {
  const spec = scriptedLaunch(
    [
      { do: "print", text: "ready\n" },
      { do: "exit", code: 0 },
    ],
    launcher.surroundings,
  );
  const began = performance.now();
  const trainer = await launcher.launch(container ? { ...spec, image, command: SCRIPTED_COMMAND } : spec);
  await eventually(() =>
    existsSync(spec.directory.log) && readFileSync(spec.directory.log, "utf8").includes("ready") ? true : undefined,
  );
  const seconds = (performance.now() - began) / 1000;
  await launcher.wait(trainer);
  await launcher.remove(trainer);
  return seconds;
}

it("prints how long a trainer takes to start, beside a subprocess", async () => {
  const times = async (launcher: Launcher, container: boolean) => {
    const all: number[] = [];
    for (let run = 0; run < 3; run += 1) all.push(await startTime(launcher, container));
    return all.sort((one, other) => one - other)[1] ?? Number.NaN;
  };
  const [job, child] = [await times(create(), true), await times(createSubprocessLauncher(config), false)];
  process.stdout.write(
    `start of a trainer: Job ${job.toFixed(2)} s, subprocess ${child.toFixed(2)} s (medians of 3)\n`,
  );
  expect(job).toBeGreaterThan(0);
});
