/** What became of an attempt, from the trainer's last word and its exit code together. Pure. */
import { FAILURES, type Failure, FailureCode, failureOfExitCode } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome } from "@vision-platform/contracts/job-state";
import type { Exit } from "../launchers/launcher.ts";
import type { StopReason } from "./attempt-directory.ts";
import type { TerminalEvent } from "./stream-tail.ts";

export interface Ending {
  exit: Exit;
  /** null: it said none. undefined: it spoke to the gateway over HTTP, so only the gateway knows. */
  terminal: TerminalEvent | null | undefined;
  /** Why we asked it to stop; null when we did not. */
  stopReason: StopReason | null;
  /** The system says that memory ran out while it ran. */
  outOfMemory: boolean;
  /** The end of its log, for people. */
  logTail: string;
}

export interface Decision {
  outcome: AttemptOutcome;
  failure?: Failure;
}

/** The longest message that the contract's Failure takes is 4000 characters. */
const MAX_MESSAGE = 3_900;

function decision(outcome: AttemptOutcome, code: FailureCode, message: string): Decision {
  return { outcome, failure: { code, message: message.slice(0, MAX_MESSAGE), hint: FAILURES[code].hint } };
}

function howItEnded({ code, signal }: Exit): string {
  if (signal !== null) return `was ended by ${signal}`;
  return code === null ? "ended while no worker watched it" : `ended with exit code ${code}`;
}

function silent(ending: Ending, code: FailureCode): Decision {
  const tail = ending.logTail === "" ? "It wrote nothing to its log." : `The end of its log:\n${ending.logTail}`;
  return decision("failed", code, `The trainer ${howItEnded(ending.exit)} (${code}). ${tail}`);
}

/** What a reason of ours makes of an attempt. */
export function stoppedOnRequest(reason: StopReason): Decision {
  if (reason === "cancelled") return { outcome: "cancelled" };
  if (reason === "timeout") return decision("failed", "TIME_LIMIT", "The attempt took longer than it may.");
  return decision("interrupted", "PREEMPTED", "The worker was stopped; the attempt goes on from its last checkpoint.");
}

function byTerminalEvent(terminal: TerminalEvent, ending: Ending): Decision {
  // All uploads come before the terminal event: a crash on the way out takes nothing away.
  if (terminal.type === "succeeded") return { outcome: "succeeded" };
  if (ending.stopReason === "cancelled") return { outcome: "cancelled" };
  if (terminal.type === "failed") {
    const code = FailureCode.safeParse(terminal.data.code);
    const message = String(terminal.data.message ?? "The trainer said that it failed.");
    return decision("failed", code.success ? code.data : "CRASHED", message);
  }
  const reason = String(terminal.data.reason);
  if (reason === "timeout" || ending.stopReason === "timeout") return stoppedOnRequest("timeout");
  // Our own stop, whichever road the trainer's last word took: the gateway does not count it as a failure.
  if (ending.stopReason === "preempted") return stoppedOnRequest("preempted");
  // "cancelled" without our asking: somebody else sent it SIGTERM. It saved its state, so it can go on.
  return decision("preempted", "PREEMPTED", "The trainer was asked to stop and saved a checkpoint.");
}

/** Nobody of ours ended it: whoever runs the machines, or somebody's hand, did. */
function byTaking({ by, message }: NonNullable<Exit["taken"]>): Decision {
  if (by === "evicted") return decision("preempted", "PREEMPTED", message);
  if (by === "host_lost") return decision("lost", "WORKER_LOST", message);
  return decision("failed", by === "deadline" ? "TIME_LIMIT" : "KILLED", message);
}

function byExit(ending: Ending): Decision {
  const { code, signal, taken } = ending.exit;
  if (ending.terminal === undefined && code === 0) return { outcome: "succeeded" };
  if (ending.stopReason !== null) return stoppedOnRequest(ending.stopReason);
  if (taken !== undefined) return ending.outOfMemory ? silent(ending, "OOM_KILLED") : byTaking(taken);
  if (signal === "SIGKILL" || code === 137) return silent(ending, ending.outOfMemory ? "OOM_KILLED" : "KILLED");
  if (signal === "SIGTERM" || signal === "SIGINT" || signal === "SIGHUP" || code === 143 || code === 130) {
    return silent(ending, "KILLED");
  }
  if (ending.outOfMemory) return silent(ending, "OOM_KILLED");
  const named = code === null ? undefined : failureOfExitCode(code);
  if (named === "CANCELLED") {
    return ending.terminal === undefined
      ? { outcome: "cancelled" }
      : decision("preempted", "PREEMPTED", "The trainer was asked to stop from outside and saved a checkpoint.");
  }
  if (named === "PREEMPTED")
    return decision("preempted", "PREEMPTED", "The trainer was preempted and saved a checkpoint.");
  return silent(ending, named ?? "CRASHED");
}

/** Total: every ending has exactly one outcome; every outcome but succeeded and cancelled has a failure. */
export function decideOutcome(ending: Ending): Decision {
  return ending.terminal ? byTerminalEvent(ending.terminal, ending) : byExit(ending);
}
