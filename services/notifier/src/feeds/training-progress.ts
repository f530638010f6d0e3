/** The plain figures a page needs, gathered from a job's events: `training_progress`, a few times a second at most. */
import type { JobProgress } from "@vision-platform/contracts/api/jobs";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { TrainingProgress } from "@vision-platform/contracts/live";
import type { MetricsEvent, ProgressEvent } from "@vision-platform/contracts/trainer-events";
import type { z } from "zod";

const INTERVAL_MS = 250;
/** One name for each task's primary metric; a job reports only that of its own task. */
const PRIMARY_METRICS = ["val/top1", "val/mAP50_95", "val/mIoU", "val/bleu4"];

type Figures = Omit<TrainingProgress, "job_id">;

/** The figures after one more event; the same object when the event has none. Losses prefer the training's own. */
export function withEvent(figures: Figures, event: JobEvent): Figures {
  if (event.type === "progress") {
    const { epoch, epochs, pct, eta_s } = event.data as z.infer<typeof ProgressEvent>["data"];
    return { ...figures, epoch, epochs, pct, eta_s };
  }
  if (event.type !== "metrics") return figures;
  const { values } = event.data as z.infer<typeof MetricsEvent>["data"];
  const primary = PRIMARY_METRICS.find((name) => values[name] !== undefined);
  const loss = values["train/loss"];
  if (primary === undefined && loss === undefined) return figures;
  return {
    ...figures,
    ...(loss === undefined ? {} : { loss }),
    ...(primary === undefined ? {} : { accuracy: values[primary] ?? null }),
  };
}

/** Gathers one job's figures and hands them on: at once after a quiet time, else when the interval is over. */
export class ProgressGatherer {
  #figures: Figures = {};
  #timer: NodeJS.Timeout | undefined;
  #isDirty = false;
  readonly #jobId: number;
  readonly #emit: (progress: TrainingProgress) => void;

  constructor(jobId: number, emit: (progress: TrainingProgress) => void) {
    this.#jobId = jobId;
    this.#emit = emit;
  }

  /** Figures the gateway knew when the job was first watched; what events said since wins. */
  seed({ epoch, epochs, loss, accuracy, pct, eta_s }: JobProgress): void {
    const known = Object.entries({ epoch, epochs, loss, accuracy, pct, eta_s }).filter(
      ([, value]) => value !== undefined,
    );
    this.#figures = { ...Object.fromEntries(known), ...this.#figures };
  }

  apply(event: JobEvent): void {
    const next = withEvent(this.#figures, event);
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
