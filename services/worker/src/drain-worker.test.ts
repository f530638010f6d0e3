/** A worker that its host gives time: a new deployment beside the old one, as on Railway. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { eventually, startTestPlatform, type TestPlatform } from "./testing/platform.ts";
import type { ScriptStep } from "./testing/script.ts";
import type { WorkerProcess } from "./testing/worker-process.ts";

let platform: TestPlatform;
const workers: WorkerProcess[] = [];
beforeAll(async () => {
  platform = await startTestPlatform();
});
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    worker.kill("SIGKILL");
    await worker.ended;
  }
});
afterAll(() => platform?.stop());

const READY: ScriptStep = { do: "event", type: "phase", data: { name: "training" } };
const DONE: ScriptStep = { do: "succeed", metrics: { "val/top1": 1 } };
const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);

async function startWorker(settings: Record<string, string> = {}): Promise<WorkerProcess> {
  const worker = await platform.worker(settings);
  workers.push(worker);
  return worker;
}

async function untilTraining(job_id: number): Promise<void> {
  await platform.until(job_id, ({ phase }) => phase === "training");
}

it("lets a training end in peace, keeps its lease, and takes nothing more", async () => {
  const old = await startWorker({ DRAIN_S: "60", DRAIN_GRACE_S: "2" });
  // Longer than a lease: it must be renewed while the worker drains.
  const running = await platform.submit([READY, { do: "sleep", ms: 18_000 }, DONE]);
  await untilTraining(running);
  const stopped = old.stop();
  await eventually(() => (old.logged().includes("draining") ? true : undefined));
  const next = await platform.submit([READY, DONE]);
  const answer = await fetch(`http://127.0.0.1:${old.port}/ready`);
  expect(answer.status).toBe(503);
  await eventually(async () => ((await platform.workers()).some(({ stopping }) => stopping) ? true : undefined));
  expect(await platform.job(next)).toMatchObject({ state: "QUEUED" });

  await startWorker();
  expect(await platform.until(next, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  expect(await stopped).toBe(0);
  const job = await platform.until(running, over, 1_000);
  expect(job).toMatchObject({ state: "SUCCEEDED", attempts: [{ outcome: "succeeded" }] });
}, 60_000);

it("gives back what does not end in time, as often as it takes, without using up the job's attempts", async () => {
  const settings = { DRAIN_S: "10", DRAIN_GRACE_S: "1" };
  const lasting = (attempt: number): ScriptStep => ({ do: "sleep", ms: 600_000, attempt });
  const job_id = await platform.submit([READY, ...[1, 2, 3, 4].map(lasting), DONE]);
  for (const attempt of [1, 2, 3, 4]) {
    const worker = await startWorker(settings);
    await platform.until(job_id, (job) => job.phase === "training" && job.attempt === attempt);
    const began = performance.now();
    expect(await worker.stop()).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
  }
  await startWorker();
  const job = await platform.until(job_id, over);
  expect(job).toMatchObject({ state: "SUCCEEDED", attempt: 5 });
  expect(job.attempts.map(({ outcome }) => outcome)).toEqual([...Array(4).fill("interrupted"), "succeeded"]);
}, 120_000);
