import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { TrainingProgress } from "@vision-platform/contracts/live";
import { expect, test } from "vitest";
import { ProgressGatherer } from "./training-progress.ts";

function event(type: string, data: Record<string, unknown>): JobEvent {
  const ids = { v: 1 as const, job_id: 6, project_id: 1, seq: 1, attempt: 1, src: "trainer" as const };
  return { ...ids, type, ts: "2026-11-21T00:00:00Z", trace_id: "1".repeat(32), data };
}
const metrics = (values: object) => event("metrics", { scope: "epoch", split: "val", epoch: 1, step: 1, values });

function gathered(use: (gatherer: ProgressGatherer) => void): TrainingProgress | undefined {
  const gatherer = new ProgressGatherer(6, () => undefined);
  use(gatherer);
  gatherer.stop();
  return gatherer.current();
}

test.each(["val/top1", "val/mAP50_95", "val/mAP50_95_pose", "val/anything"])(
  "shows %s as the head names it",
  (name) => {
    const figures = gathered((gatherer) => {
      gatherer.seed({ epoch: 1, accuracy: 0.5 }, name);
      gatherer.apply(metrics({ [name]: 0.75, "val/other": 1 }));
    });
    expect(figures).toEqual({ job_id: 6, epoch: 1, accuracy: 0.75 });
  },
);

test("knows the metric of a job that it follows from the first event", () => {
  const figures = gathered((gatherer) => {
    gatherer.apply(event("state", { state: "PENDING", previous: null, primary_metric: "val/mIoU" }));
    gatherer.apply(metrics({ "val/mIoU": 0.25, "val/pixel_acc": 0.9, "train/loss": 2 }));
  });
  expect(figures).toEqual({ job_id: 6, accuracy: 0.25, loss: 2 });
});

test("without a metric there is none to show", () => {
  const figures = gathered((gatherer) => {
    gatherer.seed({}, null);
    gatherer.apply(metrics({ "val/top1": 0.75 }));
  });
  expect(figures).toBeUndefined();
});
