import { describe, expect, it } from "vitest";
import { decideOutcome, type Ending } from "./outcome.ts";

const succeeded = { type: "succeeded", data: { metrics: {}, artifacts: [] } } as const;
const stopped = (reason: string) => ({ type: "stopped", data: { reason, resume_uri: null } }) as const;
const failed = (code: string) => ({ type: "failed", data: { code, message: "because", retryable: false } }) as const;
const exit = (code: number) => ({ exit: { code, signal: null } });
const signal = (name: NodeJS.Signals) => ({ exit: { code: null, signal: name } });

const usual: Ending = { ...exit(0), terminal: null, stopReason: null, outOfMemory: false, logTail: "last words" };

/** What happened, and what it means: outcome and failure code. */
const TABLE: [string, Partial<Ending>, string, string?][] = [
  ["all went well", { terminal: succeeded }, "succeeded"],
  ["a crash after the last word", { terminal: succeeded, ...signal("SIGSEGV") }, "succeeded"],
  ["success won against a cancel", { terminal: succeeded, stopReason: "cancelled" }, "succeeded"],
  [
    "success won against the worker's end",
    { terminal: succeeded, stopReason: "preempted", ...signal("SIGKILL") },
    "succeeded",
  ],
  ["it said why it failed", { terminal: failed("DIVERGED"), ...exit(10) }, "failed", "DIVERGED"],
  [
    "word and exit code differ: the word counts",
    { terminal: failed("BAD_CONFIG"), ...exit(1) },
    "failed",
    "BAD_CONFIG",
  ],
  ["a code nobody knows", { terminal: failed("TIRED"), ...exit(1) }, "failed", "CRASHED"],
  [
    "it failed while it was cancelled",
    { terminal: failed("STORAGE_FAILURE"), stopReason: "cancelled", ...exit(5) },
    "cancelled",
  ],
  [
    "it failed while the worker ended",
    { terminal: failed("BAD_CONFIG"), stopReason: "preempted", ...exit(2) },
    "failed",
    "BAD_CONFIG",
  ],
  [
    "cancelled, checkpoint saved",
    { terminal: stopped("cancelled"), stopReason: "cancelled", ...exit(20) },
    "cancelled",
  ],
  [
    "the worker was stopped, checkpoint saved",
    { terminal: stopped("preempted"), stopReason: "preempted", ...exit(21) },
    "interrupted",
    "PREEMPTED",
  ],
  ["its own clock", { terminal: stopped("timeout"), ...exit(22) }, "failed", "TIME_LIMIT"],
  ["our clock", { terminal: stopped("timeout"), stopReason: "timeout", ...exit(22) }, "failed", "TIME_LIMIT"],
  ["somebody else sent SIGTERM", { terminal: stopped("cancelled"), ...exit(20) }, "preempted", "PREEMPTED"],
  ["exit 0 without a word", {}, "failed", "CRASHED"],
  ["exit 0 of a trainer that speaks HTTP", { terminal: undefined }, "succeeded"],
  ["exit 20 of a trainer that speaks HTTP", { terminal: undefined, ...exit(20) }, "cancelled"],
  ["cancelled and killed after its grace", { stopReason: "cancelled", ...signal("SIGKILL") }, "cancelled"],
  [
    "preempted and killed after its grace",
    { stopReason: "preempted", ...signal("SIGKILL") },
    "interrupted",
    "PREEMPTED",
  ],
  ["too late and killed after its grace", { stopReason: "timeout", ...signal("SIGKILL") }, "failed", "TIME_LIMIT"],
  ["killed for memory", { ...signal("SIGKILL"), outOfMemory: true }, "failed", "OOM_KILLED"],
  ["137 for memory", { ...exit(137), outOfMemory: true }, "failed", "OOM_KILLED"],
  ["killed by somebody", signal("SIGKILL"), "failed", "KILLED"],
  ["137 by somebody", exit(137), "failed", "KILLED"],
  ["SIGTERM before it could listen", signal("SIGTERM"), "failed", "KILLED"],
  ["an allocation failed under our limit", { ...signal("SIGABRT"), outOfMemory: true }, "failed", "OOM_KILLED"],
  ["a crash", signal("SIGSEGV"), "failed", "CRASHED"],
  ["an exit code of nobody", exit(1), "failed", "CRASHED"],
  ["exit 2 without a word", exit(2), "failed", "BAD_CONFIG"],
  ["exit 3 without a word", exit(3), "failed", "DATASET_INVALID"],
  ["exit 11 without a word", exit(11), "failed", "GPU_OUT_OF_MEMORY"],
  ["exit 21 without a word", exit(21), "preempted", "PREEMPTED"],
  ["exit 22 without a word", exit(22), "failed", "TIME_LIMIT"],
  ["exit 70 without a word", exit(70), "failed", "TRAINER_BUG"],
];

describe("the outcome of an attempt", () => {
  it.each(TABLE)("%s", (_what, ending, outcome, code) => {
    const decided = decideOutcome({ ...usual, ...ending });
    expect({ outcome: decided.outcome, code: decided.failure?.code }).toEqual({ outcome, code });
  });

  it("keeps the trainer's own words, and shows the log's end where there are none", () => {
    expect(decideOutcome({ ...usual, terminal: failed("DIVERGED") }).failure?.message).toBe("because");
    expect(decideOutcome({ ...usual, ...exit(1) }).failure?.message).toContain("last words");
  });

  it("never makes a message longer than the contract allows", () => {
    const { failure } = decideOutcome({ ...usual, ...exit(1), logTail: "x".repeat(10_000) });
    expect(failure?.message.length).toBeLessThanOrEqual(4_000);
  });
});
