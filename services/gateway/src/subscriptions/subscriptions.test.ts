import { checkSubscriptions, replayEvents } from "@vision-platform/contracts/api/internal";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type JobWorld, startJobWorld } from "../jobs/job-testing.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

it("says in order who may listen, and how far each job is", async () => {
  const viewer = await world.user("viewer");
  const stranger = await world.user("stranger");
  const member = { project_id: world.project_id, user_id: viewer.session.user.id, role: "viewer" as const };
  await world.gateway.db.insertInto("project_members").values(member).execute();
  const { job_id } = await world.running();
  const over = await world.running();
  await over.finish("cancelled");
  const ask = (subscriptions: { user_id: number; job_id?: number; project_id?: number }[]) =>
    world.internal.call(checkSubscriptions, { body: { subscriptions } });

  const { results, heads } = await ask([
    { user_id: member.user_id, job_id },
    { user_id: stranger.session.user.id, job_id },
    { user_id: member.user_id, job_id: 999_999 },
    { user_id: member.user_id, project_id: 999_999 },
    { user_id: world.owner.session.user.id, job_id: over.job_id },
  ]);
  expect(results).toEqual([
    { status: "ok", role: "viewer" },
    { status: "forbidden", role: null },
    { status: "not_found", role: null },
    { status: "not_found", role: null },
    { status: "ok", role: "owner" },
  ]);
  expect(heads).toMatchObject([
    { job_id, state: "RUNNING", last_seq: 4, project_id: world.project_id },
    { job_id: over.job_id, state: "CANCELLED", last_seq: 6 },
  ]);

  const project = await ask([{ user_id: member.user_id, project_id: world.project_id }]);
  expect(project.heads.map((head) => head.job_id)).toContain(job_id);
  expect(project.heads.map((head) => head.job_id)).not.toContain(over.job_id);
  expect((await ask([{ user_id: stranger.session.user.id, project_id: world.project_id }])).heads).toEqual([]);
  expect(await ask([])).toEqual({ results: [], heads: [] });
});

it("replays for a reader whose membership was checked; unknown jobs are 404, people are 401", async () => {
  const { job_id } = await world.running();
  const answer = await world.internal.call(replayEvents, { params: { job_id }, query: { after: 2, limit: 1 } });
  expect(answer.items.map((item) => item.seq)).toEqual([3]);
  expect(answer.head).toBe(4);
  const query = { after: 0 };
  await expect(world.internal.call(replayEvents, { params: { job_id: 999_999 }, query })).rejects.toMatchObject({
    status: 404,
  });
  await expect(world.owner.call(replayEvents, { params: { job_id }, query })).rejects.toMatchObject({ status: 401 });
});
