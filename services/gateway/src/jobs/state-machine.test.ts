import { cancelJob, createJob, startJob } from "@vision-platform/contracts/api/jobs";
import { isLegalTransition, isTerminal, type JobState } from "@vision-platform/contracts/job-state";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sweepLostAttempts } from "../reconcile/sweep.ts";
import { type Claimed, event, type JobWorld, startJobWorld } from "./job-testing.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

const action = fc.constantFrom("start", "claim", "cancel", "event", "lose", "preempt", "fail", "succeed");
type Action = "start" | "claim" | "cancel" | "event" | "lose" | "preempt" | "fail" | "succeed";

/** One job, and whatever anybody may do to it; errors are answers. */
async function play(steps: Action[][]): Promise<number> {
  const { id: job_id } = await world.owner.call(createJob, { body: world.spec() });
  let holder: Claimed | undefined;
  let src_seq = 0;
  const acts: Record<Action, () => Promise<unknown>> = {
    start: () => world.owner.call(startJob, { params: { job_id } }),
    cancel: () => world.owner.call(cancelJob, { params: { job_id } }),
    async claim() {
      const attempt = holder?.job_id === job_id ? holder.attempt + 1 : 1;
      holder = await world.claim(job_id, attempt);
      src_seq = 0;
    },
    event: async () => await holder?.push([event(++src_seq)]),
    async lose() {
      const past = new Date(Date.now() - 60_000);
      const query = world.gateway.db.updateTable("attempts").set({ lease_until: past }).where("job_id", "=", job_id);
      await query.where("lease_until", "is not", null).execute();
      await sweepLostAttempts(world.gateway);
    },
    preempt: async () => await holder?.finish("preempted"),
    fail: async () => await holder?.finish("failed", { failure: { code: "DIVERGED", message: "x" } }),
    async succeed() {
      await holder?.deliver(++src_seq);
      await holder?.finish("succeeded");
    },
  };
  for (const atOnce of steps) {
    const results = await Promise.allSettled(atOnce.map((name) => acts[name]()));
    for (const result of results) {
      if (result.status === "rejected" && ![400, 409].includes(result.reason.status)) throw result.reason;
    }
  }
  return job_id;
}

it("whatever happens at once: legal steps only, gapless numbers, at most one end, nothing after it", async () => {
  const steps = fc.array(fc.array(action, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(steps, async (tail) => {
      const job_id = await play([["start"], ["claim"], ...tail]);
      const events = await world.events(job_id);
      expect(events.map((item) => item.seq)).toEqual(events.map((_, index) => index + 1));
      const states = events.filter((item) => item.type === "state");
      let previous: JobState | null = null;
      for (const item of states) {
        const state = item.data.state as JobState;
        expect(item.data.previous).toBe(previous);
        if (previous !== null) expect(isLegalTransition(previous, state)).toBe(true);
        previous = state;
      }
      const ends = states.filter((item) => isTerminal(item.data.state as JobState));
      expect(ends.length).toBeLessThanOrEqual(1);
      if (ends[0]) expect(events.at(-1)).toEqual(ends[0]);
      const row = await world.gateway.db
        .selectFrom("jobs")
        .selectAll()
        .where("id", "=", job_id)
        .executeTakeFirstOrThrow();
      expect(row.state).toBe(previous);
      expect(row.last_seq).toBe(events.length);
    }),
    { numRuns: 25 },
  );
});
