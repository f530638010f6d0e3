import { pino } from "pino";
import { afterAll, expect, it } from "vitest";
import type { TracingSettings } from "./config.ts";
import { createSpanSource } from "./open-telemetry.ts";
import { attemptSpanId, readTraceparent } from "./trace.ts";

const SETTINGS = {
  endpoint: "http://127.0.0.1:9",
  sampler: "parentbased_always_on",
  ratio: 1,
  schedule_ms: 60_000,
  queue: 512,
};
const sources: ReturnType<typeof createSpanSource>[] = [];
afterAll(() => Promise.all(sources.map((source) => source.stop(0))));

function sourceWith(changes: Partial<TracingSettings> = {}) {
  const source = createSpanSource("gateway", { ...SETTINGS, ...changes }, pino({ level: "silent" }));
  sources.push(source);
  return source;
}

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = `00-${TRACE}-b7ad6b7169203331-01`;

it("goes on with the caller's trace and keeps its flag", () => {
  const source = sourceWith();
  const kept = source.startSpan("GET", { kind: "server", parent: CALLER })?.traceparent;
  expect(readTraceparent(kept)).toMatchObject({ trace_id: TRACE, sampled: true });
  expect(kept).not.toBe(CALLER);
  const unwanted = source.startSpan("GET", { kind: "server", parent: CALLER.replace(/01$/, "00") })?.traceparent;
  expect(readTraceparent(unwanted)).toMatchObject({ trace_id: TRACE, sampled: false });
});

it("begins a trace with a request only", () => {
  const source = sourceWith();
  expect(readTraceparent(source.startSpan("GET", { kind: "server" })?.traceparent)?.sampled).toBe(true);
  expect(source.startSpan("launch", {})).toBeUndefined();
  expect(source.startSpan("launch", { parent: "nonsense" })).toBeUndefined();
});

it.each([
  ["always_off", 1, false],
  ["traceidratio", 0, false],
  ["traceidratio", 1, true],
  ["parentbased_traceidratio", 0, true],
])("samples by %s with %s", (sampler, ratio, sampled) => {
  const span = sourceWith({ sampler, ratio }).startSpan("GET", { kind: "server", parent: CALLER });
  expect(readTraceparent(span?.traceparent)?.sampled).toBe(sampled);
});

it("gives a span the id that others know already, and the next one an id of its own", () => {
  const source = sourceWith();
  const id = attemptSpanId(TRACE, 6, 1);
  const spans = [source.startSpan("attempt", { parent: CALLER, id }), source.startSpan("launch", { parent: CALLER })];
  const ids = spans.map((span) => readTraceparent(span?.traceparent)?.span_id);
  expect(ids[0]).toBe(id);
  expect(ids[1]).not.toBe(id);
});

it("ends soon with a collector that is not there", async () => {
  const source = sourceWith();
  source.startSpan("GET", { kind: "server" })?.end();
  const began = performance.now();
  await source.stop(500);
  expect(performance.now() - began).toBeLessThan(1_000);
});
