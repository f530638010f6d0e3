/** What becomes of a job when an attempt of it ends. Pure: the rule can be read, and tested, without a database. */
import { FAILURES, type Failure, type FailureCode, isRetryable } from "@vision-platform/contracts/failure-codes";
import { type AttemptOutcome, MAX_ATTEMPTS, MAX_INTERRUPTIONS } from "@vision-platform/contracts/job-state";

export interface Ended {
  attempt: number;
  /** How many of the job's attempts were interrupted, this one included. */
  interruptions: number;
  outcome: AttemptOutcome;
  failure: Failure | undefined;
  cancel_requested: boolean;
}

export type Fate =
  | { to: "SUCCEEDED" | "CANCELLED" }
  | { to: "FAILED"; failure: Failure }
  | { to: "QUEUED"; reason: string; delay_s: number };

/** Seconds before the second and the third attempt: time for whatever broke to come back. */
const BACKOFF_S = [1, 5];

const DEFAULT_CODE: Record<AttemptOutcome, FailureCode> = {
  succeeded: "CRASHED",
  failed: "CRASHED",
  cancelled: "CANCELLED",
  preempted: "PREEMPTED",
  lost: "WORKER_LOST",
  interrupted: "PREEMPTED",
};

/** The failure as it is recorded: with the table's hint, and one made up from the outcome when none was given. */
export function failureOf(outcome: AttemptOutcome, given: Failure | undefined): Failure | undefined {
  if (outcome === "succeeded" || outcome === "cancelled") return given;
  const code = given?.code ?? DEFAULT_CODE[outcome];
  const hint = FAILURES[code].hint;
  return { code, message: given?.message ?? MESSAGES[outcome] ?? hint, hint: given?.hint ?? hint };
}

const MESSAGES: Partial<Record<AttemptOutcome, string>> = {
  preempted: "The attempt was preempted.",
  interrupted: "The worker was stopped.",
  lost: "The worker stopped answering.",
};

/**
 * Success wins over a cancel that came too late; after a cancel nothing is tried again; what the platform caused is
 * tried again while attempts are left; what the user must change is not.
 */
export function decideFate({ attempt, interruptions, outcome, failure, cancel_requested }: Ended): Fate {
  if (outcome === "succeeded") return { to: "SUCCEEDED" };
  if (outcome === "cancelled" || cancel_requested) return { to: "CANCELLED" };
  const why = failureOf(outcome, failure) as Failure;
  const ours = outcome !== "failed" || isRetryable(why.code);
  if (!ours || isSpent(attempt, interruptions, outcome)) return { to: "FAILED", failure: why };
  const reason = `Attempt ${attempt} ended early (${why.code}); trying again`;
  return { to: "QUEUED", reason, delay_s: BACKOFF_S[attempt - 1] ?? 5 };
}

/**
 * A new deployment of a worker is nobody's failure: an interrupted attempt saved its state and does not use up the
 * budget, or a long training would fail with the third deployment. A bound of its own keeps that from going on for ever.
 */
function isSpent(attempt: number, interruptions: number, outcome: AttemptOutcome): boolean {
  if (outcome === "interrupted") return interruptions >= MAX_INTERRUPTIONS;
  return attempt - interruptions >= MAX_ATTEMPTS;
}
