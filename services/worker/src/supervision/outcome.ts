/** What became of an attempt, from the trainer's last word and its exit code together. Pure. */
import { type FailureCode, failureOfExitCode } from "@vision-platform/contracts/failure-codes";
import {
  type Decision,
  decideByLastWord,
  decision,
  type LastWord,
  type StopReason,
  stoppedOnRequest,
} from "@vision-platform/contracts/last-word";
import type { Exit } from "../launchers/launcher.ts";

export interface Ending {
  exit: Exit;
  /** null: it said none. undefined: it spoke to the gateway over HTTP, so only the gateway knows. */
  terminal: LastWord | null | undefined;
  /** Why we asked it to stop; null when we did not. */
  stopReason: StopReason | null;
  /** The system says that memory ran out while it ran. */
  outOfMemory: boolean;
  /** The end of its log, for people. */
  logTail: string;
}

function howItEnded({ code, signal }: Exit): string {
  if (signal !== null) return `was ended by ${signal}`;
  return code === null ? "ended while no worker watched it" : `ended with exit code ${code}`;
}

function silent(ending: Ending, code: FailureCode): Decision {
  const tail = ending.logTail === "" ? "It wrote nothing to its log." : `The end of its log:\n${ending.logTail}`;
  return decision("failed", code, `The trainer ${howItEnded(ending.exit)} (${code}). ${tail}`);
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
  return ending.terminal ? decideByLastWord(ending.terminal, ending.stopReason) : byExit(ending);
}
