/** One trace from the request that submits a job to the trainer's last phase, as a collector gets it over HTTP. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CollectedSpan, type OtlpCollector, startOtlpCollector } from "./testing/otlp-collector.ts";
import { eventually, startTestPlatform, type TestPlatform } from "./testing/platform.ts";
import type { ScriptStep } from "./testing/script.ts";
import type { WorkerProcess } from "./testing/worker-process.ts";

let collector: OtlpCollector;
let platform: TestPlatform;
let worker: WorkerProcess;
let settings: Record<string, string>;
beforeAll(async () => {
  collector = await startOtlpCollector();
  // Empty as docker compose gives what nobody has set.
  const unset = {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "",
    OTEL_EXPORTER_OTLP_HEADERS: "",
    OTEL_EXPORTER_OTLP_PROTOCOL: "",
  };
  settings = { ...unset, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "100" };
  // The gateway's process inherits them.
  Object.assign(process.env, settings);
  platform = await startTestPlatform();
  worker = await platform.worker(settings);
});
afterAll(async () => {
  for (const name of Object.keys(settings ?? {})) delete process.env[name];
  await platform?.stop();
  await collector?.stop();
});

const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);
const phase = (name: string): ScriptStep => ({ do: "event", type: "phase", data: { name } });
const epoch = (number: number): ScriptStep => ({
  do: "event",
  type: "metrics",
  data: { scope: "epoch", split: "val", epoch: number, step: number, values: { "val/top1": 0.5 } },
});

/** The spans of a job's trace, once the last of them is there. */
async function traceOf(job_id: number, last: string): Promise<CollectedSpan[]> {
  const { trace_id } = await platform.job(job_id);
  const spans = () => collector.spans.filter((span) => span.trace_id === trace_id);
  await eventually(() => (spans().some(({ name }) => name === last) ? true : undefined));
  // Each service sends on its own clock.
  await new Promise((resolve) => setTimeout(resolve, 500));
  return spans();
}

/** From the span up to the first of its trace. */
function way(spans: readonly CollectedSpan[], name: string): string[] {
  const names: string[] = [];
  let span = spans.find((each) => each.name === name);
  while (span) {
    names.push(`${span.service}: ${span.name}`);
    const { parent_id } = span;
    span = spans.find(({ span_id }) => span_id === parent_id);
  }
  return names;
}

/** Every span hangs below another one of the trace, but for the request that submitted the job. */
function expectOneTrace(spans: readonly CollectedSpan[]): void {
  const ids = new Set(spans.map(({ span_id }) => span_id));
  expect(ids.size).toBe(spans.length);
  const tops = spans.filter(({ parent_id }) => !ids.has(parent_id)).map(({ name }) => name);
  expect(tops).toEqual(["POST /api/v1/training/jobs"]);
}

it("is one trace, without a gap, from the request through queue and worker to the trainer's phases", async () => {
  const job_id = await platform.submit([
    { do: "event", type: "started", data: { versions: {}, device: "cpu", world_size: 1, effective_batch_size: 1 } },
    phase("preparing"),
    phase("downloading"),
    phase("training"),
    { do: "steps", count: 5, every_ms: 1 },
    epoch(1),
    epoch(2),
    phase("evaluating"),
    phase("uploading"),
    { do: "succeed", metrics: { "val/top1": 0.5 } },
  ]);
  await platform.until(job_id, over);
  const spans = await traceOf(job_id, "trainer");

  expectOneTrace(spans);
  const attempt = ["worker: attempt scripted", "gateway: send train-scripted", "gateway: POST /api/v1/training/jobs"];
  expect(way(spans, "epoch 2")).toEqual(["trainer: epoch 2", "trainer: training", "trainer: trainer", ...attempt]);
  for (const name of ["preparing", "downloading", "training", "evaluating", "uploading"]) {
    expect(way(spans, name)).toEqual([`trainer: ${name}`, "trainer: trainer", ...attempt]);
  }
  for (const name of ["launch", "run", "finish"]) expect(way(spans, name)).toEqual([`worker: ${name}`, ...attempt]);
  const internal = "POST /internal/v1/jobs/{job_id}/attempts/{attempt}";
  expect(way(spans, `${internal}/claim`)).toEqual([`gateway: ${internal}/claim`, "worker: claim", ...attempt.slice(1)]);
  expect(way(spans, `${internal}/finish`)).toEqual([`gateway: ${internal}/finish`, "worker: finish", ...attempt]);
  expect(way(spans, `${internal}/events`)).toEqual([`gateway: ${internal}/events`, ...attempt]);
  expect(spans.every(({ from, to }) => from > 0 && to >= from)).toBe(true);
  expect(spans.find(({ name }) => name === "attempt scripted")?.attributes).toMatchObject({
    "vision_platform.job_id": job_id,
    "vision_platform.outcome": "succeeded",
  });
  // What happens each second has no span.
  expect(spans.length).toBeLessThan(30);
});

it("says where it failed", async () => {
  const job_id = await platform.submit([
    phase("training"),
    { do: "event", type: "failed", data: { code: "DIVERGED", message: "loss is NaN", retryable: false } },
    { do: "exit", code: 10 },
  ]);
  await platform.until(job_id, over);
  const spans = await traceOf(job_id, "trainer");
  expect(spans.filter(({ failed }) => failed).map(({ name }) => name)).toEqual(
    expect.arrayContaining(["attempt scripted", "trainer"]),
  );
});

it("holds together when the worker dies in the middle", async () => {
  const job_id = await platform.submit([
    phase("training"),
    { do: "sleep", ms: 600_000, attempt: 1 },
    { do: "succeed", metrics: {}, attempt: 2 },
  ]);
  await platform.until(job_id, ({ phase }) => phase === "training");
  worker.kill("SIGKILL");
  await worker.ended;
  worker = await platform.worker(settings);
  await platform.until(job_id, over, 60_000);
  const spans = await traceOf(job_id, "trainer");
  const attempts = spans.filter(({ name }) => name === "attempt scripted");
  expect(attempts.map(({ service, failed }) => `${service} ${failed}`).toSorted()).toEqual([
    "gateway true",
    "worker false",
  ]);
  expectOneTrace(spans);
}, 90_000);

it("holds together when the worker dies and the trainer had said its last word", async () => {
  const job_id = await platform.submit([phase("training"), { do: "sleep", ms: 1_000 }, { do: "succeed", metrics: {} }]);
  await platform.until(job_id, ({ phase }) => phase === "training");
  worker.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  worker.kill("SIGKILL");
  await worker.ended;
  worker = await platform.worker(settings);
  expect(await platform.until(job_id, over, 60_000)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  await traceOf(job_id, "attempt scripted");
  expectOneTrace(await traceOf(job_id, "trainer"));
}, 90_000);

it("changes nothing when the collector is away", async () => {
  await worker.stop();
  worker = await platform.worker({ ...settings, OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" });
  const job_id = await platform.submit([{ do: "succeed", metrics: {} }]);
  expect(await platform.until(job_id, over)).toMatchObject({ state: "SUCCEEDED" });
  const again = await platform.submit([{ do: "succeed", metrics: {} }]);
  await platform.until(again, over);
  expect(await worker.stop()).toBe(0);
  expect(worker.logged().match(/traces cannot be sent/g)?.length ?? 0).toBeLessThanOrEqual(1);
});
