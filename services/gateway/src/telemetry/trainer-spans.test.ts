import { expect, it } from "vitest";
import { deriveTrainerSpans, type SpanEvent } from "./trainer-spans.ts";

const at = (second: number) => new Date(Date.UTC(2026, 0, 1) + second * 1000);
const event = (second: number, type: string, data: Record<string, unknown> = {}): SpanEvent => ({
  type,
  ts: at(second),
  data,
});
const phase = (second: number, name: string, pct?: number) => event(second, "phase", { name, pct });
const epoch = (second: number, number: number, split: string) =>
  event(second, "metrics", { scope: "epoch", epoch: number, split });

const TRAINING = [
  event(0, "started", { device: "cuda:0" }),
  phase(0, "preparing"),
  phase(2, "downloading", 0),
  phase(4, "downloading", 100),
  phase(5, "training"),
  epoch(9, 1, "train"),
  epoch(10, 1, "val"),
  event(11, "checkpoint", { kind: "last", epoch: 1, step: 7, bytes: 10 }),
  epoch(20, 2, "val"),
  phase(20, "uploading"),
  event(22, "succeeded"),
];

it("makes a span of each phase, and of each epoch of the training", () => {
  const trainer = deriveTrainerSpans(TRAINING, at(30));
  expect(trainer).toMatchObject({ from: at(0), to: at(22), attributes: { "vision_platform.device": "cuda:0" } });
  expect(trainer?.children.map(({ name, from, to }) => [name, from, to])).toEqual([
    ["preparing", at(0), at(2)],
    ["downloading", at(2), at(5)],
    ["training", at(5), at(20)],
    ["uploading", at(20), at(22)],
  ]);
  expect(trainer?.children[2]?.children.map(({ name, from, to }) => [name, from, to])).toEqual([
    ["epoch 1", at(5), at(10)],
    ["epoch 2", at(10), at(20)],
  ]);
  expect(trainer?.children[2]?.moments).toMatchObject([{ name: "checkpoint", at: at(11), attributes: { step: 7 } }]);
});

it("ends with the attempt where the trainer said no last word, and says what went wrong where it did", () => {
  expect(deriveTrainerSpans(TRAINING.slice(0, -1), at(30))?.children.at(-1)?.to).toEqual(at(30));
  const failed = event(6, "failed", { code: "DIVERGED", message: "loss is NaN" });
  expect(deriveTrainerSpans([phase(1, "training"), failed], at(30))?.error).toBe("DIVERGED: loss is NaN");
  expect(deriveTrainerSpans([], at(30))).toBeUndefined();
});

it("is never as long as the training was, and never runs backwards", () => {
  const many = Array.from({ length: 1_000 }, (_, index) => epoch(10 + index, index + 1, "val"));
  const long = deriveTrainerSpans([phase(0, "training"), ...many], at(2_000))?.children[0]?.children;
  expect(long).toHaveLength(200);
  expect(long?.at(-1)?.name).toBe("epoch 1000");
  const [first] = deriveTrainerSpans([phase(9, "preparing"), phase(3, "training")], at(1))?.children ?? [];
  expect(first?.to).toEqual(at(9));
});
