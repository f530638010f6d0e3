/** The words for jobs and attempts, and the only legal state changes. */
import { z } from "zod";

export const JOB_STATES = ["PENDING", "QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"] as const;
export const JobState = z.enum(JOB_STATES);
export type JobState = z.infer<typeof JobState>;

export const JOB_KINDS = ["ingest", "train", "evaluate", "predict", "export"] as const;
export const JobKind = z.enum(JOB_KINDS);
export type JobKind = z.infer<typeof JobKind>;

export const PHASES = [
  "preparing",
  "downloading",
  "training",
  "evaluating",
  "exporting",
  "uploading",
  "cancelling",
] as const;
export const Phase = z.enum(PHASES);
export type Phase = z.infer<typeof Phase>;

export const ATTEMPT_OUTCOMES = ["succeeded", "failed", "cancelled", "preempted", "lost", "interrupted"] as const;
/** How one execution ended; richer than a job's state. */
export const AttemptOutcome = z.enum(ATTEMPT_OUTCOMES);
export type AttemptOutcome = z.infer<typeof AttemptOutcome>;

/** How many attempts a job may use up for reasons that are not its own (worker lost, preempted, storage down). */
export const MAX_ATTEMPTS = 3;

/** How many attempts a job may lose, on top, to workers that were stopped on purpose (a new deployment). */
export const MAX_INTERRUPTIONS = 100;

/** QUEUED again from RUNNING: an attempt was lost for infrastructure reasons and the next one waits for a worker. */
const LEGAL: Record<JobState, readonly JobState[]> = {
  PENDING: ["QUEUED", "CANCELLED"],
  QUEUED: ["RUNNING", "CANCELLED", "FAILED"],
  RUNNING: ["QUEUED", "SUCCEEDED", "FAILED", "CANCELLED"],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

/** True when a job may go from one state to the other; a terminal state never changes. */
export function isLegalTransition(from: JobState, to: JobState): boolean {
  return LEGAL[from].includes(to);
}

export function isTerminal(state: JobState): boolean {
  return LEGAL[state].length === 0;
}

/** The states from which `to` may be reached: the WHERE clause of the conditional UPDATE. */
export function statesBefore(to: JobState): JobState[] {
  return JOB_STATES.filter((from) => isLegalTransition(from, to));
}
