/** Whole attempts: real gateway, Redis and S3; workers and trainers are processes. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { attemptLogKey, inStream, streamUser } from "@vision-platform/contracts/names";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTime } from "./launchers/process-identity.ts";
import { eventually, startTestPlatform, type TestPlatform } from "./testing/platform.ts";
import type { ScriptStep } from "./testing/script.ts";
import { testStorage } from "./testing/test-storage.ts";
import { writeTestTrainers } from "./testing/test-trainers.ts";
import type { WorkerProcess } from "./testing/worker-process.ts";

let platform: TestPlatform;
let worker: WorkerProcess;
beforeAll(async () => {
  platform = await startTestPlatform();
  worker = await platform.worker({ SLOTS: "2" });
});
afterAll(() => platform?.stop());

const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);
const FOREVER: ScriptStep = { do: "sleep", ms: 600_000 };
const READY: ScriptStep = { do: "event", type: "phase", data: { name: "training" } };
const isTraining = ({ phase }: { phase: string | null }) => phase === "training";

/** What the contract and any Unix program need; nothing else may be there. */
const ALLOWED = `PATH LANG HOME TMPDIR CACHE_DIR STOP_REASON_FILE OMP_NUM_THREADS PYTHONUNBUFFERED VP_ATTEMPT
  CONTRACT_VERSION JOB_ID ATTEMPT TRACE_ID TRACEPARENT JOB_KIND FRAMEWORK TASK_TYPE MODEL_NAME DATASET_ID DATASET_VERSION
  DATASET_URI OUTPUT_URI CONFIG_JSON EPOCHS BATCH_SIZE LEARNING_RATE SEED DEVICE NUM_WORKERS BACKEND_BASE_URL CALLBACK_URL
  CALLBACK_TOKEN EVENTS_MODE EVENTS_REDIS_URL EVENTS_STREAM STORAGE_TYPE STORAGE_BUCKET S3_ENDPOINT S3_REGION
  S3_FORCE_PATH_STYLE S3_ACCESS_KEY_ID S3_SECRET_ACCESS_KEY NUM_PROCESSES HEARTBEAT_S GRACE_S MAX_RUNTIME_S CHECKPOINT_EVERY_S
  ALLOW_NETWORK`.split(/\s+/);

async function storedLog(job_id: number): Promise<string> {
  const command = new GetObjectCommand({ Bucket: platform.bucket, Key: attemptLogKey(job_id, 1) });
  const object = await testStorage(platform.bucket).send(command);
  return (await object.Body?.transformToString()) ?? "";
}

describe("an attempt that ends by itself", () => {
  it("brings all that the trainer said, in order, and its log", async () => {
    const job_id = await platform.submit([
      { do: "print", text: "hello from the trainer\n" },
      { do: "steps", count: 50, every_ms: 1 },
      { do: "succeed", metrics: { "val/top1": 0.5 } },
    ]);
    const job = await platform.until(job_id, over);
    expect(job).toMatchObject({ state: "SUCCEEDED", metrics: { "val/top1": 0.5 } });
    const events = await platform.events(job_id);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    const steps = events.filter(({ type }) => type === "progress").map(({ data }) => data.step);
    expect(steps).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    const logged = events.filter(({ src, type }) => src === "worker" && type === "log").map(({ data }) => data.message);
    expect(logged.join("\n")).toContain("hello from the trainer");
    expect(await storedLog(job_id)).toContain("hello from the trainer");
  });

  it.each([
    [
      "its own word",
      [
        { do: "event", type: "failed", data: { code: "DIVERGED", message: "loss is NaN", retryable: false } },
        { do: "exit", code: 10 },
      ],
      "DIVERGED",
      "loss is NaN",
    ],
    [
      "its exit code",
      [
        { do: "print", text: "no such setting\n" },
        { do: "exit", code: 2 },
      ],
      "BAD_CONFIG",
      "no such setting",
    ],
    ["no word at all", [{ do: "exit", code: 0 }], "CRASHED", "exit code 0"],
    ["a crash", [{ do: "kill_itself", signal: "SIGSEGV" }], "CRASHED", "SIGSEGV"],
    [
      "a success without RESULT.json",
      [{ do: "event", type: "succeeded", data: { metrics: {}, artifacts: [] } }],
      "RESULT_MISSING",
      "RESULT.json",
    ],
  ] as [string, ScriptStep[], string, string][])("fails by %s", async (_what, script, code, words) => {
    const job_id = await platform.submit(script);
    const ended = await eventually(async () =>
      (await platform.events(job_id)).find(({ data }) => data.status === "ended"),
    );
    expect(ended.data.failure).toMatchObject({ code, message: expect.stringContaining(words) });
    await platform.cancel(job_id).catch(() => undefined);
  });

  it("fails with the repair when the framework's Python is not installed", async () => {
    await worker.stop();
    const TRAINERS_DIR = join(platform.folder, "python-trainers");
    writeTestTrainers(TRAINERS_DIR, ["python", "-m", "scripted"]);
    worker = await platform.worker({ TRAINERS_DIR });
    const job = await platform.until(await platform.submit([]), over);
    expect(job.failure).toMatchObject({ code: "ENVIRONMENT_MISSING", message: expect.stringContaining("./vp up") });
  });

  it("reaches everything by its worker's own addresses: those of containers are not for a process", async () => {
    await worker.stop();
    worker = await platform.worker({
      TRAINER_GATEWAY_URL: "http://gateway.invalid",
      TRAINER_REDIS_URL: "redis://redis.invalid:6379",
      TRAINER_S3_ENDPOINT: "http://s3.invalid",
    });
    const job_id = await platform.submit([
      { do: "steps", count: 3, every_ms: 1 },
      { do: "succeed", metrics: {} },
    ]);
    expect((await platform.until(job_id, over)).state).toBe("SUCCEEDED");
    await worker.stop();
    worker = await platform.worker({ SLOTS: "2" });
  });

  it("speaks over HTTP where Redis makes no users", async () => {
    await worker.stop();
    worker = await platform.worker({ EVENTS_MODE: "http" });
    const good = await platform.submit([
      { do: "steps", count: 3, every_ms: 1 },
      { do: "succeed", metrics: { "val/top1": 1 } },
    ]);
    const bad = await platform.submit([
      { do: "event", type: "failed", data: { code: "BAD_CONFIG", message: "m", retryable: false } },
      { do: "exit", code: 2 },
    ]);
    expect(await platform.until(good, over)).toMatchObject({ state: "SUCCEEDED", metrics: { "val/top1": 1 } });
    expect(await platform.until(bad, over)).toMatchObject({ state: "FAILED", failure: { code: "BAD_CONFIG" } });
    await worker.stop();
    worker = await platform.worker({ SLOTS: "2" });
  });
});

describe("a trainer", () => {
  it("sees what the contract names and no secret of the worker", async () => {
    const file = join(platform.folder, "environment.json");
    const job_id = await platform.submit([
      { do: "write_environment", file },
      { do: "succeed", metrics: {} },
    ]);
    await platform.until(job_id, over);
    const seen = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    expect(Object.keys(seen).filter((name) => !ALLOWED.includes(name))).toEqual([]);
    expect(ALLOWED.filter((name) => !(name in seen))).toEqual([]);
    const values = Object.values(seen).join("\n");
    expect(values).not.toContain(platform.gateway.internal_token);
    expect(values).not.toContain(new URL(platform.gateway.redis_url).password);
    for (const name of ["CALLBACK_TOKEN", "S3_SECRET_ACCESS_KEY", "EVENTS_REDIS_URL"]) {
      expect(worker.logged()).not.toContain(seen[name]);
    }
    expect(worker.logged()).not.toContain(platform.gateway.internal_token);
  });

  it("that works with another job's model is told where it lies, and nothing of epochs", async () => {
    const file = join(platform.folder, "evaluate.json");
    const training = await platform.submit([{ do: "succeed", metrics: {} }]);
    const job_id = await platform.evaluate(training, [
      { do: "write_environment", file },
      { do: "succeed", metrics: { "val/top1": 0.75 } },
    ]);
    expect(await platform.until(job_id, over)).toMatchObject({
      ...{ kind: "evaluate", state: "SUCCEEDED", source_job_id: training, metrics: { "val/top1": 0.75 } },
      progress: { accuracy: 0.75, pct: 100 },
    });
    const seen = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    expect(seen).toMatchObject({
      ...{ JOB_KIND: "evaluate", NUM_PROCESSES: "1", BATCH_SIZE: "16" },
      MODEL_URI: `s3://${platform.bucket}/jobs/${training}/checkpoints/best.json`,
      OUTPUT_URI: `s3://${platform.bucket}/jobs/${job_id}/`,
    });
    expect(seen).not.toHaveProperty("EPOCHS");
    expect(seen).not.toHaveProperty("LEARNING_RATE");
  });

  it("leaves nothing behind: no folder, record, stream, user or process", async () => {
    const escaped = join(platform.folder, "escaped");
    const job_id = await platform.submit([
      { do: "leave_group", file: escaped },
      { do: "succeed", metrics: {} },
    ]);
    await platform.until(job_id, over);
    await eventually(() => (readdirSync(join(platform.workDir, "attempts")).length === 0 ? true : undefined));
    expect(startTime(Number(readFileSync(escaped, "utf8")))).toBeNull();
    const redis = new Redis(platform.gateway.redis_url);
    expect(await redis.exists(inStream(job_id, 1))).toBe(0);
    expect(await redis.call("ACL", "GETUSER", streamUser(job_id, 1))).toBeNull();
    redis.disconnect();
  });
});

/** What the worker says it has brought to the gateway, of all its attempts. */
async function forwarded(): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${worker.port}/metrics`)).text();
  return Number(/_events_forwarded_total\{source="trainer".*\} (\d+)\n/.exec(metrics)?.[1]);
}

describe("a cancel", () => {
  it("comes after events that are counted already: a training of a week is seen while it runs", async () => {
    const before = await forwarded();
    const job_id = await platform.submit([READY, FOREVER]);
    await eventually(async () => ((await forwarded()) === before + 1 ? true : undefined));
    await platform.cancel(job_id);
    await platform.until(job_id, over);
  });

  it("lets the trainer save and end", async () => {
    const job_id = await platform.submit([READY, FOREVER]);
    await platform.until(job_id, isTraining);
    await platform.cancel(job_id);
    const job = await platform.until(job_id, over);
    expect(job.state).toBe("CANCELLED");
    const types = (await platform.events(job_id)).map(({ type, data }) => `${type} ${data.reason ?? ""}`.trim());
    expect(types).toContain("stopped cancelled");
  });

  it("kills a trainer that does not listen, and the processes that left it", async () => {
    const file = join(platform.folder, "stubborn");
    const job_id = await platform.submit([{ do: "ignore_sigterm" }, { do: "leave_group", file }, READY, FOREVER]);
    await platform.until(job_id, isTraining);
    await platform.cancel(job_id);
    expect((await platform.until(job_id, over)).state).toBe("CANCELLED");
    await eventually(() => (startTime(Number(readFileSync(file, "utf8"))) === null ? true : undefined));
    expect(existsSync(join(platform.workDir, "attempts", `${job_id}-1`))).toBe(false);
  });
});
