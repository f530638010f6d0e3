/** The plain figures a page needs, gathered from a job's events: `training_progress`, a few times a second at most. */
import type { JobProgress } from "@vision-platform/contracts/api/jobs";
import type { JobEvent, StateEventData } from "@vision-platform/contracts/job-events";
import type { TrainingProgress } from "@vision-platform/contracts/live";
import type { MetricsEvent, ProgressEvent } from "@vision-platform/contracts/trainer-events";
import type { z } from "zod";

const INTERVAL_MS = 250;

type Figures = Omit<TrainingProgress, "job_id">;

/**
 * The figures after one more event; the same object when the event has none. Losses prefer the training's own.
 * `primaryMetric` is the name of what is shown as accuracy.
 */
export function withEvent(figures: Figures, event: JobEvent, primaryMetric: string | undefined): Figures {
  if (event.type === "progress") {
    const { epoch, epochs, pct, eta_s } = event.data as z.infer<typeof ProgressEvent>["data"];
    return { ...figures, epoch, epochs, pct, eta_s };
  }
  if (event.type !== "metrics") return figures;
  const { values } = event.data as z.infer<typeof MetricsEvent>["data"];
  const accuracy = primaryMetric === undefined ? undefined : values[primaryMetric];
  const loss = values["train/loss"];
  if (accuracy === undefined && loss === undefined) return figures;
  return {
    ...figures,
    ...(loss === undefined ? {} : { loss }),
    ...(accuracy === undefined ? {} : { accuracy }),
  };
}

/** Gathers one job's figures and hands them on: at once after a quiet time, else when the interval is over. */
export class ProgressGatherer {
  #figures: Figures = {};
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;
  #primaryMetric: string | undefined;
  readonly #jobId: number;
  readonly #emit: (progress: TrainingProgress) => void;

  constructor(jobId: number, emit: (progress: TrainingProgress) => void) {
    this.#jobId = jobId;
    this.#emit = emit;
  }

  /** What the gateway knew when the job was first watched; what events said since wins. */
  seed({ epoch, epochs, loss, accuracy, pct, eta_s }: JobProgress, primaryMetric: string | null): void {
    this.#primaryMetric ??= primaryMetric ?? undefined;
    const known = Object.entries({ epoch, epochs, loss, accuracy, pct, eta_s }).filter(
      ([, value]) => value !== undefined,
    );
    this.#figures = { ...Object.fromEntries(known), ...this.#figures };
  }

  apply(event: JobEvent): void {
    if (event.type === "state") this.#primaryMetric ??= (event.data as StateEventData).primary_metric;
    const next = withEvent(this.#figures, event, this.#primaryMetric);
    if (next === this.#figures) return;
    this.#figures = next;
    this.#isDirty = true;
    if (this.#timer === undefined) this.#send();
  }

  /** The figures now; undefined before the first. */
  current(): TrainingProgress | undefined {
    return Object.keys(this.#figures).length === 0 ? undefined : { job_id: this.#jobId, ...this.#figures };
  }

  /** Hands on what still waits for its interval, before the job's last word. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isDirty) this.#send();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #send(): void {
    this.#isDirty = false;
    this.#emit({ job_id: this.#jobId, ...this.#figures });
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#isDirty) this.#send();
    }, INTERVAL_MS);
    this.#timer.unref();
  }
}
