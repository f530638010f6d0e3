import { getJob, listJobEvents } from "@vision-platform/contracts/api/jobs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type JobWorld, startJobWorld } from "../jobs/job-testing.ts";
import { startReconciler } from "./reconciler.ts";

const GATEWAYS = 4;

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

it("several gateways that look at once end each lost attempt once, and begin one new one", async () => {
  const reconcilers = Array.from({ length: GATEWAYS }, () => startReconciler(world.gateway));
  const all = () => Promise.all(reconcilers.map((reconciler) => reconciler.tick()));
  // The first look of a fresh gateway gives every lease its time; from then on all of them sweep.
  await all();
  const running = await Promise.all([1, 2, 3].map(() => world.running()));
  const lease_until = new Date(Date.now() - 1_000);
  await world.gateway.db.updateTable("attempts").set({ lease_until }).where("outcome", "is", null).execute();

  for (let round = 0; round < 5; round++) await all();
  for (const { job_id } of running) {
    const params = { job_id };
    const job = await world.owner.call(getJob, { params });
    expect(job).toMatchObject({ state: "QUEUED", attempt: 2 });
    expect(job.attempts.map(({ outcome }) => outcome)).toEqual(["lost", null]);
    const { items } = await world.owner.call(listJobEvents, { params });
    expect(items.map(({ seq }) => seq)).toEqual(items.map((_, index) => index + 1));
    expect(items.filter((event) => event.type === "attempt" && event.data.status === "ended")).toHaveLength(1);
    expect(items.filter((event) => event.type === "state" && event.data.previous === "RUNNING")).toHaveLength(1);
  }
  await Promise.all(reconcilers.map((reconciler) => reconciler.stop()));
});
