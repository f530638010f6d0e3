import type { JobEvent } from "@vision-platform/contracts/job-events";
import { expect, test } from "vitest";
import { isOver, type JobView, withEvent } from "./job-view.ts";
import { epochLine, newsOf } from "./news.ts";

const start: JobView = { job_id: 6, state: "QUEUED", attempt: 1, accuracy_name: "val/top1" };
let seq = 0;
function event(type: string, data: Record<string, unknown>): JobEvent {
  const trace_id = "1".repeat(32);
  return {
    v: 1,
    job_id: 6,
    project_id: 1,
    seq: ++seq,
    attempt: 1,
    src: "trainer",
    type,
    ts: "2026-11-21T00:00:00Z",
    trace_id,
    data,
  };
}
const after = (events: JobEvent[]) => events.reduce(withEvent, start);

const training = [
  event("state", { state: "RUNNING", previous: "QUEUED" }),
  event("phase", { name: "training" }),
  event("progress", { epoch: 2, epochs: 5, step: 10, steps: 50, pct: 20, eta_s: 12.4, samples_per_s: 1234.6 }),
  event("metrics", { scope: "epoch", split: "train", epoch: 2, step: 10, values: { "train/loss": 0.53211 } }),
  event("metrics", {
    scope: "epoch",
    split: "val",
    epoch: 2,
    step: 10,
    values: { "val/top1": 0.912, "val/loss": 0.6 },
  }),
];

test("a watcher knows the phase, the epoch and the figures", () => {
  const view = after(training);
  expect(view).toMatchObject({
    state: "RUNNING",
    phase: "training",
    epoch: 2,
    epochs: 5,
    loss: 0.53211,
    accuracy: 0.912,
    val_loss: 0.6,
  });
  expect(epochLine(view)).toBe("epoch 2/5  loss 0.5321  val/top1 0.9120  1235 samples/s  ETA 12 s");
  expect(isOver(view)).toBe(false);
});

test("only what is worth a line gets one", () => {
  const lines = training.map((one, index) =>
    newsOf(after(training.slice(0, index + 1)), after(training.slice(0, index)), one),
  );
  expect(lines).toEqual(["RUNNING", "phase training", undefined, undefined, expect.stringContaining("epoch 2/5")]);
});

test("the end carries metrics or the failure; unknown types change nothing", () => {
  const failure = { code: "DIVERGED", message: "loss is not finite" };
  const failed = after([...training, event("state", { state: "FAILED", previous: "RUNNING", failure })]);
  expect(failed).toMatchObject({ state: "FAILED", failure, phase: undefined });
  expect(isOver(failed)).toBe(true);
  const before = after(training);
  expect(withEvent(before, event("from_the_future", { epoch: 9 }))).toBe(before);
});

test("a watcher hears what a trainer that does not run yet waits for, each thing once, and who goes on with it", () => {
  const said: (string | undefined)[] = [];
  const waiting = [
    event("state", { state: "RUNNING", previous: "QUEUED" }),
    event("phase", { name: "preparing", pct: 10, detail: "pulling the image" }),
    event("phase", { name: "preparing", pct: 40, detail: "pulling the image" }),
    event("phase", { name: "preparing" }),
    event("attempt", { attempt: 1, status: "adopted", worker_id: "w" }),
  ];
  waiting.reduce((view, each) => {
    const next = withEvent(view, each);
    said.push(newsOf(next, view, each));
    return next;
  }, start);
  expect(said).toEqual([
    "RUNNING",
    "preparing: pulling the image",
    undefined,
    undefined,
    "attempt 1 goes on with another worker",
  ]);
});
