import { describe, expect, it } from "vitest";
import { drainPlan, upTo } from "./drain.ts";

describe("drainPlan", () => {
  it("leaves the ten seconds of most hosts to the saving of checkpoints", () => {
    const plan = drainPlan({ DRAIN_S: 10, DRAIN_GRACE_S: 7 });
    expect(plan).toEqual({ finishMs: 0, graceMs: 7_000, outOfTimeMs: 8_400, exitMs: 9_000 });
  });

  it("lets trainings go on where there is more time, and saves before it is over", () => {
    const plan = drainPlan({ DRAIN_S: 600, DRAIN_GRACE_S: 30 });
    expect(plan).toEqual({ finishMs: 567_000, graceMs: 30_000, outOfTimeMs: 598_400, exitMs: 599_000 });
  });

  it("never gives a trainer more than there is", () => {
    expect(drainPlan({ DRAIN_S: 10, DRAIN_GRACE_S: 60 })).toMatchObject({ finishMs: 0, graceMs: 7_000 });
  });
});

describe("upTo", () => {
  it("waits for whichever comes first, and does not mind a failure", async () => {
    const began = performance.now();
    await upTo(20_000, Promise.reject(new Error("no")));
    await upTo(20, new Promise(() => undefined));
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});
