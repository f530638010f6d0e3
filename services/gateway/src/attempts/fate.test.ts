import { FAILURES, type FailureCode, isRetryable } from "@vision-platform/contracts/failure-codes";
import { ATTEMPT_OUTCOMES, MAX_ATTEMPTS, MAX_INTERRUPTIONS } from "@vision-platform/contracts/job-state";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideFate, failureOf } from "./fate.ts";

const ended = fc.record({
  attempt: fc.integer({ min: 1, max: MAX_ATTEMPTS }),
  interruptions: fc.constant(0),
  outcome: fc.constantFrom(...ATTEMPT_OUTCOMES),
  failure: fc.option(
    fc.constantFrom(...(Object.keys(FAILURES) as FailureCode[])).map((code) => ({ code, message: "why" })),
    { nil: undefined },
  ),
  cancel_requested: fc.boolean(),
});

describe("decideFate", () => {
  it("never tries again after a cancel, beyond the budget, or what the user must change", () => {
    fc.assert(
      fc.property(ended, (end) => {
        const retryable =
          end.outcome !== "failed" || isRetryable(failureOf("failed", end.failure)?.code as FailureCode);
        const inBudget = end.outcome === "interrupted" || end.attempt < MAX_ATTEMPTS;
        const untilNow = retryable && inBudget ? "QUEUED" : "FAILED";
        const cancelled = end.cancel_requested || end.outcome === "cancelled";
        expect(decideFate(end).to).toBe(end.outcome === "succeeded" ? "SUCCEEDED" : cancelled ? "CANCELLED" : untilNow);
      }),
    );
  });

  it("does not count attempts that a new deployment interrupted, up to a bound", () => {
    const interrupted = { outcome: "interrupted" as const, failure: undefined, cancel_requested: false };
    expect(decideFate({ ...interrupted, attempt: 7, interruptions: 7 }).to).toBe("QUEUED");
    const bound = { attempt: MAX_INTERRUPTIONS, interruptions: MAX_INTERRUPTIONS };
    expect(decideFate({ ...interrupted, ...bound }).to).toBe("FAILED");
    const lost = { outcome: "lost" as const, failure: undefined, cancel_requested: false };
    expect(decideFate({ ...lost, attempt: 9, interruptions: 7 }).to).toBe("QUEUED");
    expect(decideFate({ ...lost, attempt: 10, interruptions: 7 }).to).toBe("FAILED");
  });

  it("says why, with the hint of the table", () => {
    const failure = { code: "GPU_OUT_OF_MEMORY" as const, message: "CUDA" };
    const fate = decideFate({ attempt: 1, interruptions: 0, outcome: "failed", failure, cancel_requested: false });
    expect(fate).toEqual({ to: "FAILED", failure: { ...failure, hint: FAILURES.GPU_OUT_OF_MEMORY.hint } });
    expect(failureOf("lost", undefined)).toMatchObject({ code: "WORKER_LOST" });
  });
});
