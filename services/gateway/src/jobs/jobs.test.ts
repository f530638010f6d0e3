import {
  cancelJob,
  createJob,
  getJob,
  listJobArtifacts,
  listJobEvents,
  listJobs,
  startJob,
  updateJob,
} from "@vision-platform/contracts/api/jobs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { event, type JobWorld, readyDataset, startJobWorld } from "./job-testing.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

describe("a job's life", () => {
  it("goes from PENDING to SUCCEEDED with its artifacts, events numbered without a gap", async () => {
    const { owner } = world;
    const pending = await owner.call(createJob, { body: world.spec({ config: {} }) });
    expect(pending).toMatchObject({
      state: "PENDING",
      attempt: 0,
      attempts: [],
      dataset_version: 1,
      config: { mixup: 0 },
      last_seq: 1,
    });
    const params = { job_id: pending.id };
    expect(await owner.call(startJob, { params })).toEqual({ message: "Training started", job_id: pending.id });
    const waiting = await owner.call(getJob, { params });
    expect(waiting).toMatchObject({
      state: "QUEUED",
      attempt: 1,
      waiting_reason: "No timm worker is running",
      queue_position: 0,
    });

    const attempt = await world.claim(pending.id);
    const running = await owner.call(getJob, { params });
    expect(running).toMatchObject({
      state: "RUNNING",
      phase: "preparing",
      attempts: [{ attempt: 1, worker_id: "worker-1", outcome: null }],
    });
    await attempt.deliver(1);
    expect(await attempt.finish("succeeded", { log_bytes: 10 })).toEqual({ state: "SUCCEEDED", attempt: 1 });

    const done = await owner.call(getJob, { params });
    expect(done).toMatchObject({
      state: "SUCCEEDED",
      phase: null,
      metrics: { "val/top1": 0.97 },
      attempts: [{ outcome: "succeeded" }],
    });
    const artifacts = await owner.call(listJobArtifacts, { params });
    const download = await fetch(artifacts.items[0]?.url as string);
    expect(await download.text()).toBe("weights");
    expect(download.headers.get("content-disposition")).toContain('attachment; filename="model.safetensors"');
    const { items, head } = await owner.call(listJobEvents, { params });
    expect(items.map((item) => item.seq)).toEqual(items.map((_, index) => index + 1));
    expect(head).toBe(items.length);
    expect(items.map((item) => (item.type === "state" ? item.data.state : item.type))).toEqual([
      "PENDING",
      "QUEUED",
      "RUNNING",
      "attempt",
      "succeeded",
      "attempt",
      "SUCCEEDED",
    ]);
    expect(new Set(items.map((item) => item.trace_id))).toEqual(new Set([pending.trace_id]));
  });

  it("is one job when it is submitted twice with the same key, and 422 with another body", async () => {
    const headers = { "Idempotency-Key": "submit-1" };
    const submit = (overrides: object) =>
      world.owner.call(createJob, { body: world.spec({ start: true, ...overrides }), headers });
    const [first, second] = await Promise.all([submit({}), submit({})]);
    expect(second).toEqual(first);
    expect((await world.events(first.id)).map((item) => item.data.state)).toEqual(["PENDING", "QUEUED"]);
    await expect(submit({ epochs: 3 })).rejects.toMatchObject({ status: 422 });
  });

  it("is queued at once with start: true", async () => {
    const job = await world.owner.call(createJob, { body: world.spec({ start: true, name: "now", tags: ["a"] }) });
    expect(job).toMatchObject({
      state: "QUEUED",
      attempt: 1,
      attempts: [{ attempt: 1, worker_id: null }],
      last_seq: 2,
    });
    expect((await world.events(job.id)).map((item) => item.data.state)).toEqual(["PENDING", "QUEUED"]);
  });
});

describe("the exact answers", () => {
  it("404, 403 and 400 of start", async () => {
    const stranger = await world.user("stranger");
    const running = await world.running();
    const params = { job_id: running.job_id };
    await expect(world.owner.call(startJob, { params: { job_id: 999_999 } })).rejects.toMatchObject({
      status: 404,
      message: "Training job not found",
    });
    await expect(stranger.call(startJob, { params })).rejects.toMatchObject({ status: 403 });
    await expect(world.owner.call(startJob, { params })).rejects.toMatchObject({
      status: 400,
      message: "Cannot start job with status 'RUNNING'",
    });
  });

  it("a foreign user gets 403 everywhere, an unknown job 404", async () => {
    const stranger = await world.user("stranger2");
    const job_id = await world.queued();
    for (const op of [getJob, cancelJob, listJobEvents, listJobArtifacts]) {
      await expect(stranger.call(op, { params: { job_id } })).rejects.toMatchObject({ status: 403 });
      await expect(stranger.call(op, { params: { job_id: 999_999 } })).rejects.toMatchObject({ status: 404 });
    }
    await expect(stranger.call(createJob, { body: world.spec() })).rejects.toMatchObject({ status: 403 });
    expect((await stranger.call(listJobs, {})).items).toEqual([]);
  });

  it("cancel: at once while waiting, asked while running, 400 when over", async () => {
    const { owner } = world;
    const waiting = { job_id: await world.queued() };
    expect(await owner.call(cancelJob, { params: waiting })).toMatchObject({ state: "CANCELLED" });
    await expect(owner.call(cancelJob, { params: waiting })).rejects.toMatchObject({
      status: 400,
      message: "Cannot cancel job with status 'CANCELLED'",
    });
    const attempt = await world.running();
    const params = { job_id: attempt.job_id };
    for (let again = 0; again < 2; again += 1) {
      expect(await owner.call(cancelJob, { params })).toMatchObject({
        state: "RUNNING",
        cancel_requested: true,
        phase: "cancelling",
      });
    }
    expect(await attempt.push([event(1)])).toEqual({ acked: 1, cancel: true });
    expect(await attempt.finish("cancelled")).toEqual({ state: "CANCELLED", attempt: 1 });
  });
});

describe("bad input", () => {
  const wrong: [string, object, string][] = [
    ["an unknown dataset", { dataset_id: 4711 }, "/dataset_id"],
    ["an unknown version", { dataset_version: 9 }, "/dataset_version"],
    ["another task", { task_type: "object_detection" }, "/task_type"],
    ["an unknown framework", { framework: "nowhere" }, "/framework"],
    ["an unknown model", { model_name: "nothing" }, "/model_name"],
    ["a wrong setting", { config: { mixup: 7 } }, "/config/mixup"],
    ["an unknown setting", { config: { mixdown: 1 } }, "/config/mixdown"],
    ["no epochs", { epochs: 0 }, "/epochs"],
    ["text that cannot be stored", { name: "a\u0000b" }, "/name"],
  ];
  it.each(wrong)("%s is refused with its pointer", async (_, overrides, pointer) => {
    const error = await world.owner.call(createJob, { body: world.spec(overrides) }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 422 });
    expect((error as { errors: { pointer: string }[] }).errors.map((entry) => entry.pointer)).toContain(pointer);
  });

  it("a dataset without a READY version is refused", async () => {
    const dataset_id = await readyDataset(world, world.project_id, world.owner.session.user.id, "INGESTING");
    await expect(world.owner.call(createJob, { body: world.spec({ dataset_id }) })).rejects.toMatchObject({
      status: 422,
    });
    await expect(
      world.owner.call(createJob, { body: world.spec({ dataset_id, dataset_version: 1 }) }),
    ).rejects.toMatchObject({ status: 422 });
  });
});

describe("lists and labels", () => {
  it("filters, sorts and pages without repetition", async () => {
    const { owner } = world;
    const project_id = await world.project(owner);
    const dataset_id = await readyDataset(world, project_id, owner.session.user.id);
    for (const name of ["c", "a", "b", "a"])
      await owner.call(createJob, { body: world.spec({ project_id, dataset_id, name, tags: [name] }) });
    const query = { project_id, kind: "train" as const, sort: "name" as const, limit: 2 };
    const first = await owner.call(listJobs, { query });
    const second = await owner.call(listJobs, { query: { ...query, cursor: first.next_cursor as string } });
    expect([...first.items, ...second.items].map((job) => job.name)).toEqual(["a", "a", "b", "c"]);
    expect(second.next_cursor).toBeNull();
    const newest = await owner.call(listJobs, { query: { project_id, kind: "train" } });
    expect(newest.items.map((job) => job.name)).toEqual(["a", "b", "a", "c"]);
    expect((await owner.call(listJobs, { query: { project_id, tag: "b" } })).items).toHaveLength(1);
    expect((await owner.call(listJobs, { query: { project_id, state: "RUNNING" } })).items).toHaveLength(0);
    await expect(owner.call(listJobs, { query: { cursor: "rubbish" } })).rejects.toMatchObject({ status: 422 });
  });

  it("changes name, notes and tags, and nothing else", async () => {
    const params = { job_id: await world.queued() };
    const changed = await world.owner.call(updateJob, { params, body: { name: "new", notes: "text", tags: ["x"] } });
    expect(changed).toMatchObject({ name: "new", notes: "text", tags: ["x"], state: "QUEUED" });
    await expect(world.owner.call(updateJob, { params, body: {} })).rejects.toMatchObject({ status: 422 });
  });
});
