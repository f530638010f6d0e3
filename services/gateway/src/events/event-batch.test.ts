import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BatchContext, judgeBatch } from "./event-batch.ts";
import { isStorable, storable } from "./storable-json.ts";

const context: BatchContext = {
  source: "trainer",
  last: 0,
  allow_gap: false,
  ended: false,
  primary_metric: "val/top1",
};
const ts = "2026-11-21T01:00:00.000Z";
const log = (src_seq: number, data: object = { level: "info", message: `m${src_seq}` }) => ({
  v: 1 as const,
  type: "log",
  ts,
  src_seq,
  data: { ...data },
});
const of = (src_seq: number, type: string, data: object) => ({ v: 1 as const, type, ts, src_seq, data: { ...data } });

describe("judgeBatch", () => {
  it("takes what follows, drops what it has, stops at a hole", () => {
    const batch = judgeBatch(
      [1, 2, 2, 3, 5].map((n) => log(n)),
      { ...context, last: 1 },
    );
    expect(batch.accepted.map((event) => event.src_seq)).toEqual([2, 3]);
    expect(batch.last).toBe(3);
  });

  it("goes over a hole with a warning that names it, when it may", () => {
    const batch = judgeBatch([log(4)], { ...context, allow_gap: true });
    expect(batch.accepted.map((event) => event.data)).toMatchObject([
      { code: "events_lost", from: 1, to: 3 },
      { message: "m4" },
    ]);
    expect(batch.last).toBe(4);
  });

  it("keeps a known type with wrong data as a warning, and an unknown type as it is", () => {
    const batch = judgeBatch([of(1, "progress", { pct: 900 }), of(2, "confetti", { colour: "red" })], context);
    expect(batch.accepted).toMatchObject([
      { type: "warning", src_seq: 1, data: { code: "invalid_event", event_type: "progress" } },
      { type: "confetti", data: { colour: "red" } },
    ]);
    expect(batch.unknown).toBe(1);
  });

  it("takes a heartbeat's figures without storing it", () => {
    const batch = judgeBatch([of(1, "heartbeat", { rss_bytes: 5 })], context);
    expect(batch).toMatchObject({ accepted: [], last: 1, resources: { rss_bytes: 5 } });
  });

  it("learns phase, progress, loss and accuracy", () => {
    const progress = { epoch: 1, epochs: 2, step: 3, steps: 4, pct: 50, eta_s: null, samples_per_s: 9 };
    const epoch = { scope: "epoch", split: "val", epoch: 1, step: 3, values: { "train/loss": null, "val/top1": 0.5 } };
    const batch = judgeBatch(
      [of(1, "phase", { name: "training" }), of(2, "progress", progress), of(3, "metrics", epoch)],
      context,
    );
    expect(batch.phase).toBe("training");
    expect(batch.progress).toEqual({ ...progress, loss: null, accuracy: 0.5 });
    expect(batch.metrics).toEqual(epoch.values);
  });

  it("lets the trainer say once how it ended, and nobody else", () => {
    const failed = { code: "DIVERGED", message: "loss is NaN", retryable: false };
    const twice = judgeBatch(
      [of(1, "failed", failed), of(2, "stopped", { reason: "cancelled", resume_uri: null })],
      context,
    );
    expect(twice.terminal?.type).toBe("failed");
    expect(twice.accepted[1]).toMatchObject({ type: "warning", data: { code: "invalid_event" } });
    expect(judgeBatch([of(1, "failed", failed)], { ...context, source: "worker" }).terminal).toBeNull();
    expect(judgeBatch([of(1, "failed", failed)], { ...context, ended: true }).terminal).toBeNull();
  });

  it("refuses events that are too large, keeping their number", () => {
    const batch = judgeBatch([log(1, { level: "info", message: "x", extra: "y".repeat(20_000) }), log(2)], context);
    expect(batch.accepted.map((event) => event.type)).toEqual(["warning", "log"]);
  });

  it("converges: whatever is repeated, cut and reordered, a retried stream arrives once and in order", () => {
    const slices = fc.array(fc.tuple(fc.nat(30), fc.nat(12), fc.boolean()), { maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), slices, (total, deliveries) => {
        const stream = Array.from({ length: total }, (_, index) => log(index + 1));
        const stored: (number | null)[] = [];
        let last = 0;
        const deliver = (events: typeof stream) => {
          const batch = judgeBatch(events, { ...context, last });
          stored.push(...batch.accepted.map((event) => event.src_seq));
          last = batch.last;
        };
        for (const [from, length, reversed] of deliveries) {
          const slice = stream.slice(from, from + length);
          deliver(reversed ? slice.toReversed() : slice);
        }
        deliver(stream.slice(last));
        expect(stored).toEqual(stream.map((event) => event.src_seq));
      }),
    );
  });
});

describe("storable", () => {
  it("leaves sound values alone and repairs the rest", () => {
    const sound = { text: "grüße 🎉", n: 1 };
    expect(storable(sound)).toBe(sound);
    expect(storable({ a: "x\0y", "k\ud800": ["\udc00"] })).toEqual({ a: "x\uFFFDy", "k\uFFFD": ["\uFFFD"] });
  });
  it("knows what is nested too deeply", () => {
    let deep: unknown = 1;
    for (let level = 0; level < 40; level += 1) deep = [deep];
    expect(isStorable(deep)).toBe(false);
    expect(isStorable({ a: [{ b: 1 }] })).toBe(true);
  });
});
