import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLegalTransition, isTerminal, JOB_STATES, type JobState, statesBefore } from "./job-state.ts";

const state = fc.constantFrom(...JOB_STATES);

describe("job states", () => {
  it("ends at most once, whatever is asked for in whatever order", () => {
    fc.assert(
      fc.property(fc.array(state, { maxLength: 40 }), (wishes) => {
        let current = "PENDING" as JobState;
        const path: JobState[] = [current];
        for (const wish of wishes) {
          if (!isLegalTransition(current, wish)) continue;
          current = wish;
          path.push(current);
        }
        const ends = path.filter(isTerminal);
        expect(ends.length).toBeLessThanOrEqual(1);
        if (ends.length === 1) expect(path.at(-1)).toBe(ends[0]);
      }),
    );
  });

  it("says the same forwards and backwards", () => {
    fc.assert(
      fc.property(state, state, (from, to) => {
        expect(statesBefore(to).includes(from)).toBe(isLegalTransition(from, to));
      }),
    );
  });

  it("never runs what was not queued, and never repeats a state", () => {
    expect(statesBefore("RUNNING")).toEqual(["QUEUED"]);
    expect(statesBefore("SUCCEEDED")).toEqual(["RUNNING"]);
    for (const each of JOB_STATES) expect(isLegalTransition(each, each)).toBe(false);
  });
});
