/** What a trainer's last word makes of its attempt: for the worker that saw the end, and for the gateway when no worker did. */
import type { z } from "zod";
import { FAILURES, type Failure, FailureCode } from "./failure-codes.ts";
import type { AttemptOutcome } from "./job-state.ts";
import type { StoppedEvent, TERMINAL_EVENT_TYPES } from "./trainer-events.ts";

/** succeeded, failed or stopped, with the event's own data. */
export interface LastWord {
  type: (typeof TERMINAL_EVENT_TYPES)[number];
  data: Record<string, unknown>;
}

/** Why the platform asks a trainer to stop, and what a trainer says of its stop. */
export type StopReason = z.infer<typeof StoppedEvent>["data"]["reason"];

export interface Decision {
  outcome: AttemptOutcome;
  failure?: Failure;
}

/** The longest message that Failure takes is 4000 characters. */
const MAX_MESSAGE = 3_900;

/** An outcome with its failure and the table's hint. */
export function decision(outcome: AttemptOutcome, code: FailureCode, message: string): Decision {
  return { outcome, failure: { code, message: message.slice(0, MAX_MESSAGE), hint: FAILURES[code].hint } };
}

/** What a reason of ours makes of an attempt. */
export function stoppedOnRequest(reason: StopReason): Decision {
  if (reason === "cancelled") return { outcome: "cancelled" };
  if (reason === "timeout") return decision("failed", "TIME_LIMIT", "The attempt took longer than it may.");
  return decision("interrupted", "PREEMPTED", "The worker was stopped; the attempt goes on from its last checkpoint.");
}

/**
 * The exit code does not matter any more: all uploads come before the last word, so a crash on the way out takes nothing
 * away. `stopReason` is why the platform asked the trainer to stop; null when it did not, or nobody knows.
 */
export function decideByLastWord({ type, data }: LastWord, stopReason: StopReason | null): Decision {
  if (type === "succeeded") return { outcome: "succeeded" };
  if (stopReason === "cancelled") return { outcome: "cancelled" };
  if (type === "failed") {
    const code = FailureCode.safeParse(data.code);
    const message = String(data.message ?? "The trainer said that it failed.");
    return decision("failed", code.success ? code.data : "CRASHED", message);
  }
  if (data.reason === "timeout" || stopReason === "timeout") return stoppedOnRequest("timeout");
  // Our own stop, whichever road the trainer's last word took: the gateway does not count it as a failure.
  if (stopReason === "preempted") return stoppedOnRequest("preempted");
  // "cancelled" without our asking: somebody else sent it SIGTERM. It saved its state, so it can go on.
  return decision("preempted", "PREEMPTED", "The trainer was asked to stop and saved a checkpoint.");
}
