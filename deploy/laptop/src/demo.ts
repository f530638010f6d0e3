import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { NODE_OPTIONS } from "@vision-platform/common/node-options";
import { z } from "zod";
import { wholeEnvironment } from "./config.ts";
import { ROOT, vpPaths } from "./paths.ts";
import { installEnvs } from "./prepare.ts";
import { createProgress, progressMode } from "./progress.ts";
import { demoEnv } from "./python-env.ts";
import { runTool } from "./tool.ts";
import { up } from "./up.ts";

const PROJECT = "demo";
const DATASET = "digits";
const TRAINING = ["--model", "test_resnet", "--epochs", "5", "--batch-size", "64", "--lr", "0.01"];

const named = z.object({ id: z.number(), name: z.string() });
const dataset = named.extend({ latest_version: z.number().nullable() });
const finishedJob = z.object({
  id: z.number(),
  state: z.string(),
  metrics: z.record(z.string(), z.number().nullable()).nullish(),
});

/**
 * `./vp demo`: starts the platform, makes a zip of real images, and then types the commands that a person would type.
 * @returns the exit code of the training.
 */
export async function demo(json: boolean): Promise<number> {
  const began = Date.now();
  const { gateway_url } = await up(progressMode(json));
  const zip = await ensureDigits(json);
  const vp = commandLine(json);

  if (!(await vp.list(["projects", "list"], named)).some((one) => one.name === PROJECT)) {
    await vp.show(["projects", "create", PROJECT]);
  }
  const datasets = await vp.list(["datasets", "list", "--project", PROJECT], dataset);
  const ready = datasets.find((one) => one.name === DATASET)?.latest_version;
  if (ready) {
    vp.say(`The images are there from an earlier demo: dataset ${DATASET} v${ready}.`);
  } else {
    const path = relative(process.cwd(), zip) || zip;
    const code = await vp.show(["datasets", "import", path, "--project", PROJECT, "--name", DATASET]);
    if (code !== 0) return code;
  }
  const code = await vp.show(["jobs", "submit", "--project", PROJECT, "--dataset", DATASET, ...TRAINING, "--watch"]);
  const [job] = await vp.list(["jobs", "list", "--project", PROJECT, "--kind", "train", "--limit", "1"], finishedJob);
  if (job && code === 0) await vp.show(["jobs", "artifacts", String(job.id)]);
  const seconds = Math.round((Date.now() - began) / 100) / 10;
  vp.end({ job_id: job?.id ?? null, state: job?.state ?? null, metrics: job?.metrics ?? null, gateway_url, seconds });
  return code;
}

/** The zip with 1,797 real handwritten digits; made once. */
async function ensureDigits(json: boolean): Promise<string> {
  const zip = join(vpPaths().demo, "digits.zip");
  if (existsSync(zip)) return zip;
  mkdirSync(vpPaths().demo, { recursive: true });
  const progress = createProgress(progressMode(json), 3);
  try {
    await installEnvs([demoEnv()], progress);
    await progress.run("Writing 1,797 images of handwritten digits", async (detail) => {
      const script = join(ROOT, "deploy/demo/make_digits.py");
      const python = join(demoEnv().path, "bin/python");
      await runTool(python, [script, "--output", zip], { env: wholeEnvironment(), cwd: ROOT, detail });
    });
  } finally {
    progress.end();
  }
  return zip;
}

type End = { job_id: number | null; state: string | null; metrics: unknown; gateway_url: string; seconds: number };

/** Runs commands of ./vp as a person would: each is shown before it runs, and prints for itself. */
function commandLine(json: boolean) {
  const main = join(ROOT, "services/cli/src/main.ts");
  const node = [...NODE_OPTIONS, main];
  // A server or key that the person has set is for another platform than the one of this demo.
  const { VP_SERVER: _server, VP_NOTIFIER: _notifier, VP_TOKEN: _token, ...env } = wholeEnvironment();
  const say = (text: string) => void (json ? undefined : process.stdout.write(`${text}\n`));
  return {
    say,
    /** Runs a command in sight of the person; its exit code. */
    show: (args: string[]): Promise<number> =>
      new Promise((done) => {
        say(`\n$ ./vp ${args.join(" ")}`);
        const child = spawn(process.execPath, [...node, ...args, ...(json ? ["--json"] : [])], {
          env,
          stdio: "inherit",
        });
        // Ctrl-C reaches the command by itself; we wait for what it still has to say.
        const ignore = () => undefined;
        process.on("SIGINT", ignore);
        child.once("exit", (code) => {
          process.off("SIGINT", ignore);
          done(code ?? 1);
        });
      }),
    /** Runs a command for its NDJSON. */
    list: async <Row>(args: string[], row: z.ZodType<Row>): Promise<Row[]> => {
      const out = await runTool(process.execPath, [...node, ...args, "--json"], { env });
      return out
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => row.parse(JSON.parse(line)));
    },
    end: (result: End) => {
      if (json) process.stdout.write(`${JSON.stringify({ event: "demo", ...result })}\n`);
      else say(`\n${endText(result)}`);
    },
  };
}

function endText({ job_id, state, gateway_url, seconds }: End): string {
  return [
    `Job ${job_id} ${state} after ${seconds} s in all. Everything is still running:`,
    `  its files      ./vp jobs download ${job_id}`,
    "  your images    ./vp datasets import <zip or folder> --project demo",
    `  the API        ${gateway_url}/docs`,
    "  end it all     ./vp down",
  ].join("\n");
}
