/** What a watcher knows of a job, after each of its events. */
import type { Job, JobProgress } from "@vision-platform/contracts/api/jobs";
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { AttemptEventData, JobEvent, StateEventData } from "@vision-platform/contracts/job-events";
import { isTerminal, type JobState } from "@vision-platform/contracts/job-state";
import type { MetricsEvent, MetricValues, PhaseEvent, ProgressEvent } from "@vision-platform/contracts/trainer-events";
import type { z } from "zod";

export interface JobView extends Omit<JobProgress, "pct"> {
  job_id: number;
  state: JobState;
  attempt: number;
  phase?: string | undefined;
  /** What the phase waits for. */
  detail?: string | undefined;
  /** Of the phase, 0 to 100. */
  pct?: number | undefined;
  /** Name of the metric in `accuracy`, the primary one of the job, such as val/top1. */
  accuracy_name?: string | undefined;
  /** Newest validation loss. */
  val_loss?: number | null;
  metrics?: z.infer<typeof MetricValues>;
  failure?: Failure | undefined;
}

/** Where watching begins: what the gateway says now. */
export function viewOf(job: Job): JobView {
  const { state, attempt, phase, progress, metrics, failure } = job;
  return {
    ...beginningOf(job),
    ...{ state, attempt, phase: phase ?? undefined, ...progress, metrics, failure: failure ?? undefined },
  };
}

/** Where a replay begins: nothing has happened yet. */
export function beginningOf({ id, state, primary_metric }: Job): JobView {
  return { job_id: id, state, attempt: 0, accuracy_name: primary_metric?.name };
}

/** The view after one more event; event types that are not known change nothing. */
export function withEvent(view: JobView, event: JobEvent): JobView {
  switch (event.type) {
    case "state": {
      const { state, failure, metrics } = event.data as StateEventData;
      // A job that waits again has no phase and no figures of its own yet.
      const phase = state === "RUNNING" ? view.phase : undefined;
      return { ...view, state, phase, ...(failure ? { failure } : {}), ...(metrics ? { metrics } : {}) };
    }
    case "attempt":
      return { ...view, attempt: (event.data as AttemptEventData).attempt };
    case "phase": {
      const { name, pct, detail } = event.data as z.infer<typeof PhaseEvent>["data"];
      // Each phase counts its own percents.
      return { ...view, phase: name, detail, pct: pct ?? (name === view.phase ? view.pct : undefined) };
    }
    case "progress":
      return { ...view, ...(event.data as z.infer<typeof ProgressEvent>["data"]) };
    case "metrics":
      return withMetrics(view, event.data as z.infer<typeof MetricsEvent>["data"]);
    default:
      return view;
  }
}

function withMetrics(view: JobView, { scope, epoch, values }: z.infer<typeof MetricsEvent>["data"]): JobView {
  const next = { ...view };
  // Progress comes a few times a second at most and may still tell of the epoch before.
  if (scope === "epoch" && view.epochs !== undefined) next.epoch = Math.max(view.epoch ?? 0, epoch);
  if (values["train/loss"] !== undefined) next.loss = values["train/loss"];
  if (values["val/loss"] !== undefined) next.val_loss = values["val/loss"];
  if (values["perf/samples_per_s"] !== undefined) next.samples_per_s = values["perf/samples_per_s"];
  const accuracy = view.accuracy_name === undefined ? undefined : values[view.accuracy_name];
  if (accuracy !== undefined) next.accuracy = accuracy;
  return next;
}

export function isOver(view: JobView): boolean {
  return isTerminal(view.state);
}
