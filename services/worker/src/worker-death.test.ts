/** What becomes of attempts whose worker is killed, frozen or stopped. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createApiClient } from "@vision-platform/common/api-client";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createAttemptApi } from "./attempt-api.ts";
import { readHandle, startTime } from "./launchers/process-identity.ts";
import { AttemptRecord } from "./records/attempt-record.ts";
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
    worker.kill("SIGCONT");
    worker.kill("SIGKILL");
    await worker.ended;
  }
});
afterAll(() => platform?.stop());

const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);
const READY: ScriptStep = { do: "event", type: "phase", data: { name: "training" } };
/** The first attempt hangs until somebody ends it; the second succeeds. */
const HANGS_ONCE: ScriptStep[] = [
  READY,
  { do: "sleep", ms: 600_000, attempt: 1 },
  { do: "succeed", metrics: { "val/top1": 1 } },
];

async function startWorker(settings: Record<string, string> = {}): Promise<WorkerProcess> {
  const worker = await platform.worker(settings);
  workers.push(worker);
  return worker;
}

/** The record of a running attempt, as its worker wrote it. */
async function recordOf(job_id: number, attempt: number): Promise<AttemptRecord> {
  const file = join(platform.workDir, "attempts", `${job_id}-${attempt}.json`);
  return await eventually(() => {
    const record = AttemptRecord.parse(JSON.parse(readFileSync(file, "utf8")));
    return record.trainer.handle === null ? undefined : record;
  });
}

async function untilTraining(job_id: number): Promise<number> {
  await platform.until(job_id, ({ phase }) => phase === "training");
  return readHandle((await recordOf(job_id, 1)).trainer.handle)?.pid ?? 0;
}

async function outcomes(job_id: number): Promise<unknown[]> {
  return (await platform.events(job_id)).filter(({ data }) => data.status === "ended").map(({ data }) => data.outcome);
}

describe("a worker killed with -9", () => {
  it("is followed by a second attempt at once, and its trainer is ended", async () => {
    const first = await startWorker();
    const job_id = await platform.submit(HANGS_ONCE);
    const pid = await untilTraining(job_id);
    first.kill("SIGKILL");
    await first.ended;
    expect(startTime(pid)).not.toBeNull();
    await startWorker();
    expect(startTime(pid)).toBeNull();
    const job = await platform.until(job_id, over);
    expect(job).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    expect(await outcomes(job_id)).toEqual(["lost", "succeeded"]);
    await eventually(() => (readdirSync(join(platform.workDir, "attempts")).length === 0 ? true : undefined));
  });

  it("loses no event and no success of a trainer that went on without it", async () => {
    const first = await startWorker();
    const job_id = await platform.submit([
      READY,
      { do: "sleep", ms: 800 },
      { do: "steps", count: 30, every_ms: 1 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    const pid = await untilTraining(job_id);
    first.kill("SIGKILL");
    await eventually(() => (startTime(pid) === null ? true : undefined));
    await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    expect((await platform.events(job_id)).filter(({ type }) => type === "progress")).toHaveLength(30);
  });

  it.each(["redis", "http"])("takes nothing from a trainer that had said how it ended, by %s", async (EVENTS_MODE) => {
    const first = await startWorker({ EVENTS_MODE });
    const lingers: ScriptStep = { do: "sleep", ms: 600_000 };
    const job_id = await platform.submit([READY, { do: "succeed", metrics: { "val/top1": 1 } }, lingers]);
    await eventually(async () => (await platform.events(job_id)).find(({ type }) => type === "succeeded"));
    first.kill("SIGKILL");
    await first.ended;
    await startWorker({ EVENTS_MODE });
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    expect(await outcomes(job_id)).toEqual(["succeeded"]);
  });
});

describe("a frozen worker", () => {
  it("loses its lease; when it wakes up it kills its trainer and writes nothing", async () => {
    const frozen = await startWorker();
    const job_id = await platform.submit(HANGS_ONCE);
    const pid = await untilTraining(job_id);
    const lease = await recordOf(job_id, 1);
    frozen.kill("SIGSTOP");
    await startWorker();
    // The frozen worker is alive, so its trainer is not an orphan: only the lease says who may go on.
    expect(startTime(pid)).not.toBeNull();
    const job = await platform.until(job_id, over, 40_000);
    expect(job).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    const before = await platform.events(job_id);
    frozen.kill("SIGCONT");
    await eventually(() => (startTime(pid) === null ? true : undefined));
    await eventually(() => (frozen.logged().includes("no longer ours") ? true : undefined));
    expect(await platform.events(job_id)).toEqual(before);
    expect(await outcomes(job_id)).toEqual(["lost", "succeeded"]);
    const late = createAttemptApi(createApiClient(platform.gateway.url, platform.gateway.internal_token), lease);
    const event = {
      v: 1 as const,
      type: "log",
      ts: new Date().toISOString(),
      src_seq: 99,
      data: { level: "info", message: "late" },
    };
    await expect(late.renew()).rejects.toMatchObject({ status: 409 });
    await expect(late.push({ source: "trainer", allow_gap: true, events: [event] })).rejects.toMatchObject({
      status: 409,
    });
    await expect(late.finish({ outcome: "succeeded", exit_code: 0 })).rejects.toMatchObject({ status: 409 });
  }, 60_000);
});

describe("a worker that is stopped", () => {
  it("lets its trainer save, gives the attempt back, and ends in time", async () => {
    const first = await startWorker();
    const job_id = await platform.submit(HANGS_ONCE);
    const pid = await untilTraining(job_id);
    expect(await first.stop()).toBe(0);
    expect(startTime(pid)).toBeNull();
    const events = await platform.events(job_id);
    expect(events.find(({ type }) => type === "stopped")?.data.reason).toBe("preempted");
    await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    expect(await outcomes(job_id)).toEqual(["interrupted", "succeeded"]);
  });

  it("kills a trainer that does not listen, still in time", async () => {
    const first = await startWorker();
    const job_id = await platform.submit([{ do: "ignore_sigterm", attempt: 1 }, ...HANGS_ONCE]);
    const pid = await untilTraining(job_id);
    expect(await first.stop()).toBe(0);
    expect(startTime(pid)).toBeNull();
    await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    expect(await outcomes(job_id)).toEqual(["interrupted", "succeeded"]);
  });
});

describe("a gateway that hangs", () => {
  it("does not stop a training, and hears all of it afterwards", async () => {
    await startWorker();
    const job_id = await platform.submit([
      READY,
      { do: "steps", count: 100, every_ms: 20 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    const pid = await untilTraining(job_id);
    platform.gateway.signal("SIGSTOP");
    await eventually(() => (startTime(pid) === null ? true : undefined));
    platform.gateway.signal("SIGCONT");
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    expect((await platform.events(job_id)).filter(({ type }) => type === "progress")).toHaveLength(100);
  });
});

describe("a gateway that cannot be reached", () => {
  it("leaves the attempt in the queue", async () => {
    const lonely = await startWorker({ GATEWAY_URL: "http://127.0.0.1:9" });
    const job_id = await platform.submit([{ do: "succeed", metrics: { "val/top1": 1 } }]);
    await eventually(() => (lonely.logged().includes("the attempt goes back") ? true : undefined));
    const ready = await fetch(`http://127.0.0.1:${lonely.port}/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({
      parts: { gateway: expect.stringContaining("no answer"), redis: "ok", storage: "ok" },
    });
    await lonely.stop();
    const worker = await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    expect((await fetch(`http://127.0.0.1:${worker.port}/ready`)).status).toBe(200);
    // The job is over before the worker has heard so and counted.
    await eventually(async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${worker.port}/metrics`)).text();
      return /_worker_attempts_total\{outcome="succeeded".*\} 1\n/.test(metrics) ? true : undefined;
    });
  });
});
