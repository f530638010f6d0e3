/** Attempts whose worker is lost after their trainer has said how it ended. */
import { createS3Client } from "@vision-platform/common/s3";
import { adoptAttempt, renewLease } from "@vision-platform/contracts/api/internal";
import { cancelJob, getJob, listJobArtifacts } from "@vision-platform/contracts/api/jobs";
import { resultKey } from "@vision-platform/contracts/names";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Claimed, event, type JobWorld, putObject, readyDataset, startJobWorld } from "../jobs/job-testing.ts";
import { sweepLostAttempts } from "./sweep.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

const job = (job_id: number) => world.owner.call(getJob, { params: { job_id } });
const succeeded = event(1, "succeeded", { metrics: {}, artifacts: [] });
const failed = (code: string) => event(1, "failed", { code, message: "its own words", retryable: false });
const stopped = (reason: string) => event(1, "stopped", { reason, resume_uri: null });

async function endLease(job_id: number, secondsAgo = 60): Promise<void> {
  await world.gateway.db
    .updateTable("attempts")
    .set({ lease_until: sql`now() - make_interval(secs => ${secondsAgo}::int)` })
    .where("job_id", "=", job_id)
    .where("outcome", "is", null)
    .execute();
}

/** What the job's events say of ends: of attempts, and of the job itself. */
async function ends(job_id: number): Promise<unknown[]> {
  return (await world.events(job_id))
    .filter(
      ({ data }) => data.status === "ended" || ["SUCCEEDED", "FAILED", "CANCELLED"].includes(data.state as string),
    )
    .map(({ data }) => data.outcome ?? data.state);
}

/** How the attempt may be lost: nobody renews it, or a worker says that it found it so. */
const LOSSES: [string, (attempt: Claimed) => Promise<unknown>][] = [
  [
    "swept",
    async ({ job_id }) => {
      await endLease(job_id);
      expect(await sweepLostAttempts(world.gateway)).toBe(1);
    },
  ],
  [
    "said to be lost by the next worker",
    (attempt) => attempt.finish("lost", { exit_code: null, failure: { code: "WORKER_LOST", message: "orphaned" } }),
  ],
];

describe.each(LOSSES)("an attempt %s", (_how, lose) => {
  it("has succeeded when its trainer said so and the storage has its artifacts", async () => {
    const attempt = await world.running();
    await attempt.deliver(1);
    await lose(attempt);
    const { job_id } = attempt;
    expect(await job(job_id)).toMatchObject({
      state: "SUCCEEDED",
      attempt: 1,
      metrics: { "val/top1": 0.97 },
      attempts: [{ outcome: "succeeded", exit_code: null, failure: null }],
    });
    expect((await world.owner.call(listJobArtifacts, { params: { job_id } })).items).toHaveLength(1);
    expect(await ends(job_id)).toEqual(["succeeded", "SUCCEEDED"]);
    const end = (await world.events(job_id)).find(({ data }) => data.status === "ended");
    expect(end?.data).toMatchObject({ worker_lost: true });
  });

  it("is tried again when its trainer said that it succeeded and there is no RESULT.json", async () => {
    const attempt = await world.running();
    await attempt.push([succeeded]);
    await lose(attempt);
    const { state, attempts } = await job(attempt.job_id);
    expect(state).toBe("QUEUED");
    expect(attempts[0]).toMatchObject({ outcome: "failed", failure: { code: "RESULT_MISSING" } });
  });

  it.each([
    ["DIVERGED", { state: "FAILED", attempt: 1, failure: { code: "DIVERGED", message: "its own words" } }],
    ["STORAGE_FAILURE", { state: "QUEUED", attempt: 2, failure: null }],
  ])("has failed with its trainer's words, and the code %s decides what follows", async (code, wanted) => {
    const attempt = await world.running();
    await attempt.push([failed(code)]);
    await lose(attempt);
    const now = await job(attempt.job_id);
    expect(now).toMatchObject(wanted);
    expect(now.attempts[0]).toMatchObject({ outcome: "failed", failure: { code, message: "its own words" } });
  });

  it("was cancelled when its trainer stopped after a cancel, or failed in it", async () => {
    for (const last of [stopped("cancelled"), failed("STORAGE_FAILURE")]) {
      const attempt = await world.running();
      await world.owner.call(cancelJob, { params: { job_id: attempt.job_id } });
      await attempt.push([last]);
      await lose(attempt);
      expect(await ends(attempt.job_id)).toEqual(["cancelled", "CANCELLED"]);
    }
  });

  it("took too long when its trainer stopped for that", async () => {
    const attempt = await world.running();
    await attempt.push([stopped("timeout")]);
    await lose(attempt);
    expect(await job(attempt.job_id)).toMatchObject({ state: "FAILED", attempt: 1, failure: { code: "TIME_LIMIT" } });
  });

  it.each(["preempted", "cancelled"])(
    "stays lost when its trainer stopped (%s) in order to go on later",
    async (reason) => {
      const attempt = await world.running();
      await attempt.push([stopped(reason)]);
      await lose(attempt);
      expect(await job(attempt.job_id)).toMatchObject({
        state: "QUEUED",
        attempt: 2,
        attempts: [{ outcome: "lost", failure: { code: "WORKER_LOST" } }, { outcome: null }],
      });
    },
  );

  it("of an ingest makes the version INVALID with the findings", async () => {
    const dataset_id = await readyDataset(world, world.project_id, world.owner.session.user.id, "INGESTING");
    const versions = world.gateway.db.selectFrom("dataset_versions").selectAll().where("dataset_id", "=", dataset_id);
    const { job_id } = await versions.executeTakeFirstOrThrow();
    const attempt = await world.claim(job_id);
    const finding = { severity: "error", code: "NOT_AN_IMAGE", file: "a/b.png", reason: "text" };
    const about = { v: 1, job_id, attempt: 1, kind: "ingest", status: "failed", metrics: {}, artifacts: [] };
    const result = { ...about, findings: [finding], finding_counts: { error: 1, warning: 0 } };
    await putObject(world, resultKey(job_id), JSON.stringify(result));
    await attempt.push([failed("DATASET_INVALID")]);
    await lose(attempt);
    expect(await versions.executeTakeFirstOrThrow()).toMatchObject({ state: "INVALID", findings: [finding] });
  });
});

describe("the sweep", () => {
  it("refuses whoever comes back to an attempt that it has ended", async () => {
    const attempt = await world.running();
    await attempt.deliver(1);
    await endLease(attempt.job_id);
    expect(await sweepLostAttempts(world.gateway)).toBe(1);
    const { job_id, lease_token } = attempt;
    const params = { job_id, attempt: 1 };
    await expect(attempt.finish("succeeded")).rejects.toMatchObject({ status: 409, code: "terminal" });
    const renewal = world.internal.call(renewLease, { params, body: { lease_token } });
    await expect(renewal).rejects.toMatchObject({ status: 409, code: "lease_lost" });
    const body = { worker_id: "w2", host: "h2", launcher: "subprocess" as const, lease_token };
    const adoption = world.internal.call(adoptAttempt, { params, body });
    await expect(adoption).rejects.toMatchObject({ status: 409, code: "terminal" });
    expect(await ends(job_id)).toEqual(["succeeded", "SUCCEEDED"]);
  });

  it("comes to one end with a worker that finishes at the same moment, and to no second attempt", async () => {
    for (let round = 0; round < 8; round += 1) {
      const attempt = await world.running();
      await attempt.deliver(1);
      await endLease(attempt.job_id);
      await Promise.allSettled([
        sweepLostAttempts(world.gateway),
        attempt.finish("succeeded"),
        sweepLostAttempts(world.gateway),
        attempt.finish("lost", { exit_code: null }),
      ]);
      expect(await job(attempt.job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
      expect(await ends(attempt.job_id)).toEqual(["succeeded", "SUCCEEDED"]);
    }
  });

  it("waits for a storage that is away, for ten minutes; others it ends meanwhile", async () => {
    const s3 = createS3Client({ ...world.gateway.config, S3_ENDPOINT: "http://127.0.0.1:9" });
    const cutOff = { ...world.gateway, s3 };
    const [silent, done] = [await world.running(), await world.running()];
    await done.deliver(1);
    await Promise.all([silent, done].map(({ job_id }) => endLease(job_id)));
    expect(await sweepLostAttempts(cutOff)).toBe(1);
    expect(await job(silent.job_id)).toMatchObject({ state: "QUEUED", attempt: 2 });
    expect(await job(done.job_id)).toMatchObject({ state: "RUNNING", attempt: 1 });
    await endLease(done.job_id, 601);
    expect(await sweepLostAttempts(cutOff)).toBe(1);
    expect(await job(done.job_id)).toMatchObject({ state: "QUEUED", attempts: [{ outcome: "lost" }, {}] });
    s3.destroy();
  });
});
