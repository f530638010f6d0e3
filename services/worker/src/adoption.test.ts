/** Trainers that outlive their worker: real gateway, Redis and S3; workers and trainers are processes that tests kill. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { attemptLogKey } from "@vision-platform/contracts/names";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createDetachedLauncher } from "./testing/detached-launcher.ts";
import { eventually, startTestPlatform, type TestPlatform } from "./testing/platform.ts";
import type { ScriptStep } from "./testing/script.ts";
import { testStorage } from "./testing/test-storage.ts";
import type { WorkerProcess } from "./testing/worker-process.ts";

let platform: TestPlatform;
let engine = "";
const workers: WorkerProcess[] = [];
beforeAll(async () => {
  platform = await startTestPlatform();
  engine = join(platform.folder, "engine");
});
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    worker.kill("SIGCONT");
    await worker.stop();
  }
  const launcher = createDetachedLauncher(engine);
  for (const found of await launcher.find()) {
    await launcher.stop({ ids: found, identity: found.identity }, "SIGKILL");
    await launcher.remove({ ids: found, identity: found.identity });
  }
});
afterAll(() => platform?.stop());

const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);
const LINES = 120;

/** Prints a numbered line and publishes a step every 50 ms, for six seconds. */
const SPEAKS: ScriptStep[] = [
  { do: "event", type: "phase", data: { name: "training" } },
  ...Array.from({ length: LINES }, (_, index): ScriptStep[] => [
    { do: "print", text: `line ${index + 1}\n` },
    { do: "steps", count: 1, every_ms: 50 },
  ]).flat(),
  { do: "succeed", metrics: { "val/top1": 1 } },
];

async function startWorker(settings: Record<string, string> = {}): Promise<WorkerProcess> {
  const worker = await platform.worker({ DETACHED_FOLDER: engine, SLOTS: "2", ...settings });
  workers.push(worker);
  return worker;
}

const training = (job_id: number) => platform.until(job_id, ({ phase }) => phase === "training");
const isLaunched = (job_id: number) => existsSync(join(engine, `${job_id}-1`, "note.json"));

/** Everything that the trainer said arrived once and in order, and its attempt was one. */
async function expectWhole(job_id: number, adoptions: number): Promise<void> {
  const job = await platform.until(job_id, over, 60_000);
  expect(job).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  const events = await platform.events(job_id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.filter(({ type }) => type === "progress")).toHaveLength(LINES);
  const logged = events.filter(({ src, type }) => src === "worker" && type === "log").map(({ data }) => data.message);
  expect(logged.join("\n").split("\n")).toEqual(Array.from({ length: LINES }, (_, index) => `line ${index + 1}`));
  const statuses = events.filter(({ type }) => type === "attempt").map(({ data }) => data.status);
  expect(statuses).toEqual(["claimed", ...Array(adoptions).fill("adopted"), "ended"]);
  const Key = attemptLogKey(job_id, 1);
  const log = await testStorage(platform.bucket).send(new GetObjectCommand({ Bucket: platform.bucket, Key }));
  expect((await log.Body?.transformToString())?.trim().split("\n")).toHaveLength(LINES);
  await eventually(() => (existsSync(join(engine, `${job_id}-1`)) ? undefined : true));
  await eventually(() => (readdirSync(join(platform.workDir, "attempts")).length === 0 ? true : undefined));
}

describe("a trainer that outlives its worker", () => {
  it("is taken over at once by the next worker of the host when the first is killed with -9", async () => {
    const first = await startWorker();
    const job_id = await platform.submit(SPEAKS);
    await training(job_id);
    first.kill("SIGKILL");
    await first.ended;
    await startWorker();
    await expectWhole(job_id, 1);
  }, 90_000);

  it("goes on while its worker is replaced, again and again, without a line or an event lost or twice", async () => {
    let worker = await startWorker();
    const job_id = await platform.submit(SPEAKS);
    await training(job_id);
    for (let round = 0; round < 2; round += 1) {
      expect(await worker.stop()).toBe(0);
      expect(worker.logged()).toContain("its attempt is released");
      worker = await startWorker();
      await eventually(() => (worker.logged().includes("trainer adopted") ? true : undefined));
    }
    await expectWhole(job_id, 2);
  }, 90_000);

  it("is found by a second worker on another host when the lease of the first is over", async () => {
    const first = await startWorker({ WORK_DIR: join(platform.folder, "elsewhere") });
    await startWorker();
    // Whichever of them has the job: it is killed, and its own folder is never looked at again.
    const job_id = await platform.submit([...SPEAKS.slice(0, -1), { do: "sleep", ms: 20_000 }, ...SPEAKS.slice(-1)]);
    await training(job_id);
    const [holder] = workers.filter((worker) => worker.logged().includes("trainer started"));
    holder?.kill("SIGKILL");
    await holder?.ended;
    if (holder === first) workers.shift();
    else workers.pop();
    const job = await platform.until(job_id, over, 60_000);
    expect(job).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  }, 90_000);

  it("is asked to stop by the worker that took it over", async () => {
    const first = await startWorker();
    const job_id = await platform.submit([
      { do: "event", type: "phase", data: { name: "training" } },
      { do: "sleep", ms: 600_000 },
    ]);
    await training(job_id);
    first.kill("SIGKILL");
    await first.ended;
    await startWorker();
    await platform.cancel(job_id);
    expect(await platform.until(job_id, over)).toMatchObject({ state: "CANCELLED", attempt: 1 });
    await eventually(() => (isLaunched(job_id) ? undefined : true));
  }, 90_000);

  it("has told its end while nobody listened: the next worker believes it", async () => {
    const first = await startWorker();
    const job_id = await platform.submit([
      { do: "event", type: "phase", data: { name: "training" } },
      { do: "sleep", ms: 1_000 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    await training(job_id);
    first.kill("SIGKILL");
    await eventually(() => (existsSync(join(engine, `${job_id}-1`, "exit")) ? true : undefined));
    await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  }, 90_000);

  it("is ended and removed when its attempt was given to another", async () => {
    const first = await startWorker();
    const job_id = await platform.submit([
      { do: "event", type: "phase", data: { name: "training" } },
      { do: "sleep", ms: 600_000, attempt: 1 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    await training(job_id);
    first.kill("SIGKILL");
    await first.ended;
    // Nobody comes within the lease and the half minute for adoption.
    await platform.until(job_id, ({ attempt }) => attempt === 2, 70_000);
    expect(isLaunched(job_id)).toBe(true);
    await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    await eventually(() => (isLaunched(job_id) ? undefined : true));
  }, 120_000);

  it("that vanished with its worker is followed by another attempt at once", async () => {
    const first = await startWorker();
    const job_id = await platform.submit([
      { do: "event", type: "phase", data: { name: "training" } },
      { do: "sleep", ms: 600_000, attempt: 1 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    await training(job_id);
    first.kill("SIGKILL");
    await first.ended;
    const launcher = createDetachedLauncher(engine);
    const [found] = await launcher.find();
    if (!found) throw new Error("no trainer is there");
    await launcher.stop({ ids: found, identity: found.identity }, "SIGKILL");
    await launcher.remove({ ids: found, identity: found.identity });
    await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
  }, 90_000);
});

describe("a worker that takes an attempt over", () => {
  it("counts it among its slots: the next job waits until it is through", async () => {
    const first = await startWorker({ SLOTS: "1" });
    const job_id = await platform.submit([
      { do: "event", type: "phase", data: { name: "training" } },
      { do: "sleep", ms: 20_000 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    await training(job_id);
    first.kill("SIGKILL");
    await first.ended;
    const next = await startWorker({ SLOTS: "1" });
    await eventually(() => (next.logged().includes("trainer adopted") ? true : undefined));
    const waiting = await platform.submit([{ do: "succeed", metrics: { "val/top1": 1 } }]);
    await platform.until(waiting, ({ state }) => state !== "QUEUED", 60_000);
    expect(await platform.job(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    expect(await platform.until(waiting, over)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  }, 120_000);
});

describe("a worker that is told to keep no trainers", () => {
  it("lets them save and end with it, and gives their attempts back", async () => {
    const first = await startWorker({ KEEP_TRAINERS: "false" });
    const job_id = await platform.submit([
      { do: "event", type: "phase", data: { name: "training" } },
      { do: "sleep", ms: 600_000, attempt: 1 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    await training(job_id);
    expect(await first.stop()).toBe(0);
    expect(isLaunched(job_id)).toBe(false);
    expect(await platform.job(job_id)).toMatchObject({ state: "QUEUED", attempt: 2 });
    await startWorker();
    expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
  }, 90_000);
});

describe("a frozen worker", () => {
  it("does not touch its trainer when it wakes up and another worker has it", async () => {
    const frozen = await startWorker({ WORK_DIR: join(platform.folder, "frozen") });
    const job_id = await platform.submit([...SPEAKS.slice(0, -1), { do: "sleep", ms: 20_000 }, ...SPEAKS.slice(-1)]);
    await training(job_id);
    frozen.kill("SIGSTOP");
    const next = await startWorker();
    await eventually(() => (next.logged().includes("trainer adopted") ? true : undefined), 40_000);
    frozen.kill("SIGCONT");
    await eventually(() => (frozen.logged().includes("no longer ours") ? true : undefined));
    expect(await platform.until(job_id, over, 60_000)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  }, 120_000);
});
