/** A real trainer that does what a script tells it: the launchers' conformance aid. It honours contract.md, page by page. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parseS3Uri, resultKey } from "@vision-platform/contracts/names";
import { readScriptEnvironment, type ScriptEnvironment, wholeEnvironment } from "./config.ts";
import type { ScriptStep } from "./script.ts";
import { createEventWriter, type EventWriter } from "./script-events.ts";

const environment = readScriptEnvironment();
const events = createEventWriter(environment);
/** Without a script (the platform makes ingest jobs without one) all goes well. */
const SUCCESS: ScriptStep[] = [{ do: "succeed", metrics: {} }];
const held: Buffer[] = [];
let ignoring = false;
let terminated = false;

process.on("SIGTERM", () => {
  if (ignoring) return;
  if (terminated) process.exit(143);
  terminated = true;
  void stopOnRequest();
});

async function stopOnRequest(): Promise<never> {
  const { STOP_REASON_FILE: file } = environment;
  const reason = file && existsSync(file) ? readFileSync(file, "utf8") : "cancelled";
  await events.write("stopped", { reason, resume_uri: null });
  return process.exit(reason === "preempted" ? 21 : 20);
}

async function succeed(given: ScriptEnvironment, out: EventWriter, metrics: Record<string, number>): Promise<void> {
  const { JOB_ID: job_id, ATTEMPT: attempt, JOB_KIND: kind, OUTPUT_URI } = given;
  const dataset = { source_format: "script", classes: ["a"], counts: { train: 1 }, samples: 1, bytes: 1 };
  const about = kind === "ingest" ? { dataset } : {};
  const result = { v: 1, job_id, attempt, kind, status: "succeeded", metrics, artifacts: [], ...about };
  const Bucket = parseS3Uri(OUTPUT_URI).bucket;
  // Loaded by those who need it: most scripts start several times quicker without.
  const { PutObjectCommand } = await import("@aws-sdk/client-s3");
  const { createS3Client } = await import("@vision-platform/common/s3");
  await createS3Client(given).send(
    new PutObjectCommand({ Bucket, Key: resultKey(job_id), Body: JSON.stringify(result) }),
  );
  await out.write("succeeded", { metrics, artifacts: [] });
}

/** `sleep` in a session of its own, with the environment that every child inherits. */
function leaveGroup(file: string): void {
  const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  child.unref();
  appendFileSync(file, `${child.pid}\n`);
}

function childAllocates(mebibytes: number): void {
  const program = "const held = Buffer.alloc(Number(process.argv[1]) * 1048576, 1); setTimeout(() => held, 1000);";
  spawnSync(process.execPath, ["-e", program, String(mebibytes)]);
}

async function printLines(count: number, characters: number): Promise<void> {
  for (let line = 1; line <= count; line += 1) {
    const more = process.stdout.write(`${String(line).padEnd(characters - 1, ".")}\n`);
    if (!more) await once(process.stdout, "drain");
  }
  // The exit does not wait for what is still on its way.
  await new Promise((written) => process.stdout.write("", written));
}

async function tryToConnect(host: string, port: number): Promise<void> {
  const socket = connect({ host, port, timeout: 2_000 });
  const reached = await new Promise<boolean>((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("timeout", () => resolve(false));
  });
  socket.destroy();
  process.stdout.write(`${host}:${port} ${reached ? "reached" : "not reached"}\n`);
}

function fill(file: string, mebibytes: number): void {
  try {
    for (let written = 0; written < mebibytes; written += 1) appendFileSync(file, Buffer.alloc(1_048_576, 1));
  } catch (error) {
    process.stdout.write(`${file}: ${(error as NodeJS.ErrnoException).code}\n`);
  }
}

async function progress(count: number, everyMs: number): Promise<void> {
  for (let step = 1; step <= count && !terminated; step += 1) {
    const pct = (100 * step) / count;
    const data = { epoch: 1, epochs: 1, step, steps: count, pct, eta_s: null, samples_per_s: null };
    await events.write("progress", data);
    await sleep(everyMs);
  }
}

async function run(step: ScriptStep): Promise<unknown> {
  switch (step.do) {
    case "event":
      return await events.write(step.type, step.data);
    case "steps":
      return await progress(step.count, step.every_ms);
    case "print":
      return process.stdout.write(step.text);
    case "sleep":
      return await sleep(step.ms);
    case "ignore_sigterm":
      ignoring = true;
      return;
    case "leave_group":
      return leaveGroup(step.file);
    case "allocate":
      return held.push(Buffer.alloc(step.mebibytes * 1_048_576, 1));
    case "child_allocates":
      return childAllocates(step.mebibytes);
    case "print_lines":
      return await printLines(step.count, step.characters);
    case "connect":
      return await tryToConnect(step.host, step.port);
    case "fill":
      return fill(step.file, step.mebibytes);
    case "print_environment":
      return process.stdout.write(JSON.stringify(wholeEnvironment()));
    case "write_environment":
      return writeFileSync(step.file, JSON.stringify(wholeEnvironment()));
    case "append":
      return appendFileSync(step.file, step.text);
    case "succeed":
      return await succeed(environment, events, step.metrics);
    case "kill_itself":
      process.kill(process.pid, step.signal);
      return await sleep(5_000);
    case "exit":
      return process.exit(step.code);
  }
}

for (const step of environment.CONFIG_JSON.script ?? SUCCESS) {
  if ((step.attempt ?? environment.ATTEMPT) === environment.ATTEMPT) await run(step);
}
if (terminated) await sleep(10_000);
process.exit(0);
