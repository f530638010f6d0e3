import { claimAttempt, finishAttempt, renewLease, workerHeartbeat } from "@vision-platform/contracts/api/internal";
import { cancelJob, getJob, listJobArtifacts } from "@vision-platform/contracts/api/jobs";
import { jobPrefix, resultKey } from "@vision-platform/contracts/names";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Claimed,
  event,
  type JobWorld,
  putArtifact,
  putObject,
  readyDataset,
  startJobWorld,
} from "../jobs/job-testing.ts";
import { sweepLostAttempts } from "../reconcile/sweep.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

const job = (job_id: number) => world.owner.call(getJob, { params: { job_id } });
const renew = ({ job_id, attempt, lease_token }: Claimed) =>
  world.internal.call(renewLease, { params: { job_id, attempt }, body: { lease_token } });

async function expireLease(job_id: number): Promise<void> {
  const past = new Date(Date.now() - 60_000);
  await world.gateway.db
    .updateTable("attempts")
    .set({ lease_until: past })
    .where("job_id", "=", job_id)
    .where("outcome", "is", null)
    .execute();
}

async function terminalEvents(job_id: number): Promise<unknown[]> {
  const states = (await world.events(job_id)).filter((item) => item.type === "state").map((item) => item.data.state);
  return states.filter((state) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state as string));
}

describe("claim", () => {
  it("goes to exactly one of many workers", async () => {
    const job_id = await world.queued();
    const claims = await Promise.allSettled(
      [1, 2, 3, 4].map((n) =>
        world.internal.call(claimAttempt, { params: { job_id, attempt: 1 }, body: { worker_id: `w${n}`, host: "h" } }),
      ),
    );
    expect(claims.filter((claim) => claim.status === "fulfilled")).toHaveLength(1);
    for (const claim of claims)
      if (claim.status === "rejected") expect(claim.reason).toMatchObject({ status: 409, code: "already_claimed" });
  });

  it("says why not: stale, terminal, cancelled, unknown", async () => {
    const job_id = await world.queued();
    const claim = (attempt: number, id = job_id) =>
      world.internal.call(claimAttempt, { params: { job_id: id, attempt }, body: { worker_id: "w", host: "h" } });
    await expect(claim(2)).rejects.toMatchObject({ status: 409, code: "stale" });
    await expect(claim(1, 999_999)).rejects.toMatchObject({ status: 404 });
    await world.owner.call(cancelJob, { params: { job_id } });
    await expect(claim(1)).rejects.toMatchObject({ status: 409, code: "cancelled" });
    const failed = await world.running();
    await failed.finish("failed", { failure: { code: "BAD_CONFIG", message: "x" } });
    await expect(claim(1, failed.job_id)).rejects.toMatchObject({ status: 409, code: "terminal" });
  });
});

describe("renew", () => {
  it("works on an expired lease that nobody swept, answers the cancel flag, and is refused after the sweep", async () => {
    const attempt = await world.running();
    expect(await renew(attempt)).toMatchObject({ cancel: false });
    await expireLease(attempt.job_id);
    expect(new Date((await renew(attempt)).lease_until).getTime()).toBeGreaterThan(Date.now() + 10_000);
    await world.owner.call(cancelJob, { params: { job_id: attempt.job_id } });
    expect(await renew(attempt)).toMatchObject({ cancel: true });
    await expireLease(attempt.job_id);
    expect(await sweepLostAttempts(world.gateway)).toBe(1);
    expect(await job(attempt.job_id)).toMatchObject({ state: "CANCELLED", attempts: [{ outcome: "lost" }] });
    await expect(renew(attempt)).rejects.toMatchObject({ status: 409, code: "lease_lost" });
    await expect(renew({ ...attempt, job_id: 999_999 })).rejects.toMatchObject({ status: 404 });
  });
});

describe("finish", () => {
  it("gives the same answer again, also after the job went on", async () => {
    const first = await world.running();
    expect(await first.finish("interrupted")).toEqual({ state: "QUEUED", attempt: 2 });
    const second = await world.claim(first.job_id, 2);
    expect(await first.finish("interrupted")).toEqual({ state: "QUEUED", attempt: 2 });
    await second.deliver(1);
    expect(await second.finish("succeeded")).toEqual({ state: "SUCCEEDED", attempt: 2 });
    expect(await second.finish("succeeded")).toEqual({ state: "SUCCEEDED", attempt: 2 });
    expect(await first.finish("interrupted")).toEqual({ state: "QUEUED", attempt: 2 });
    expect(await terminalEvents(first.job_id)).toEqual(["SUCCEEDED"]);
  });

  it("retries what the platform caused three times, then fails with the reason", async () => {
    const job_id = await world.queued();
    for (const attempt of [1, 2]) {
      expect(await (await world.claim(job_id, attempt)).finish("preempted")).toEqual({
        state: "QUEUED",
        attempt: attempt + 1,
      });
    }
    expect(await job(job_id)).toMatchObject({
      state: "QUEUED",
      waiting_reason: expect.stringContaining("trying again"),
    });
    const last = await world.claim(job_id, 3);
    expect(await last.finish("failed", { failure: { code: "STORAGE_FAILURE", message: "disk full" } })).toEqual({
      state: "FAILED",
      attempt: 3,
    });
    expect(await job(job_id)).toMatchObject({
      failure: { code: "STORAGE_FAILURE", message: "disk full", hint: expect.any(String) },
    });
  });

  it("does not retry what the user must change", async () => {
    const attempt = await world.running();
    await attempt.push([event(1, "failed", { code: "DIVERGED", message: "loss is NaN", retryable: false })]);
    const failure = { code: "DIVERGED", message: "The trainer ended with exit code 10." };
    expect(await attempt.finish("failed", { exit_code: 10, failure })).toEqual({ state: "FAILED", attempt: 1 });
    expect(await job(attempt.job_id)).toMatchObject({ failure: { code: "DIVERGED", message: "loss is NaN" } });
  });

  it("takes the failure from the exit code when nobody has said more", async () => {
    const attempt = await world.running();
    expect(await attempt.finish("failed", { exit_code: 4 })).toEqual({ state: "FAILED", attempt: 1 });
    expect(await job(attempt.job_id)).toMatchObject({ failure: { code: "MODEL_UNAVAILABLE" } });
  });

  const spoilt: [string, (attempt: Claimed) => Promise<unknown>][] = [
    ["without the succeeded event", async () => undefined],
    ["without RESULT.json", (attempt) => attempt.push([event(1, "succeeded", { metrics: {}, artifacts: [] })])],
    [
      "with an artifact of another size",
      async (attempt) => {
        await attempt.deliver(1);
        await putObject(world, `${jobPrefix(attempt.job_id)}artifacts/model.safetensors`, "other");
      },
    ],
    [
      "with an artifact of another hash",
      async (attempt) => {
        await attempt.deliver(1);
        await putArtifact(world, `${jobPrefix(attempt.job_id)}artifacts/model.safetensors`, "weightz");
      },
    ],
    [
      "with an artifact of another job",
      async (attempt) => {
        const artifact = await putArtifact(world, `jobs/${attempt.job_id}1/secret`, "x");
        await attempt.deliver(1);
        const { job_id } = attempt;
        const result = {
          v: 1,
          job_id,
          attempt: 1,
          kind: "train",
          status: "succeeded",
          metrics: {},
          artifacts: [artifact],
        };
        await putObject(world, resultKey(job_id), JSON.stringify(result));
      },
    ],
  ];
  it.each(spoilt)("is no success %s", async (_, spoil) => {
    const attempt = await world.running();
    await spoil(attempt);
    expect(await attempt.finish("succeeded")).toEqual({ state: "QUEUED", attempt: 2 });
    const { attempts } = await job(attempt.job_id);
    expect(attempts[0]).toMatchObject({ outcome: "failed", failure: { code: "RESULT_MISSING" } });
    const artifacts = await world.owner.call(listJobArtifacts, { params: { job_id: attempt.job_id } });
    expect(artifacts.items).toEqual([]);
  });

  it("ends in one terminal state when it races a cancel, a sweep and its own twin", async () => {
    for (let round = 0; round < 8; round += 1) {
      const attempt = await world.running();
      await attempt.deliver(1);
      await expireLease(attempt.job_id);
      await Promise.allSettled([
        attempt.finish("succeeded"),
        attempt.finish("succeeded"),
        sweepLostAttempts(world.gateway),
        world.owner.call(cancelJob, { params: { job_id: attempt.job_id } }),
      ]);
      const { state } = await job(attempt.job_id);
      expect(["SUCCEEDED", "CANCELLED", "QUEUED"]).toContain(state);
      expect(await terminalEvents(attempt.job_id)).toHaveLength(state === "QUEUED" ? 0 : 1);
    }
  });

  it("refuses another lease's token", async () => {
    const { job_id } = await world.running();
    const body = { lease_token: "x".repeat(20), outcome: "cancelled" as const, exit_code: null };
    const finish = world.internal.call(finishAttempt, { params: { job_id, attempt: 1 }, body });
    await expect(finish).rejects.toMatchObject({ status: 409, code: "lease_lost" });
  });
});

describe("an ingest job", () => {
  async function ingestJob(): Promise<{
    attempt: Claimed;
    version(): Promise<{ state: string; findings: unknown[]; summary: unknown }>;
  }> {
    const dataset_id = await readyDataset(world, world.project_id, world.owner.session.user.id, "INGESTING");
    const row = () =>
      world.gateway.db
        .selectFrom("dataset_versions")
        .selectAll()
        .where("dataset_id", "=", dataset_id)
        .executeTakeFirstOrThrow();
    return { attempt: await world.claim((await row()).job_id), version: row };
  }
  const summary = { source_format: "image_folder", classes: ["0"], counts: { train: 1 }, samples: 1, bytes: 9 };
  const finding = { severity: "error" as const, code: "NOT_AN_IMAGE", file: "a/b.png", reason: "text" };
  const putResult = (job_id: number, extra: object) => {
    const result = { v: 1, job_id, attempt: 1, kind: "ingest", metrics: {}, artifacts: [], ...extra };
    return putObject(world, resultKey(job_id), JSON.stringify(result));
  };

  it("makes the version READY with its summary", async () => {
    const { attempt, version } = await ingestJob();
    await putResult(attempt.job_id, {
      status: "succeeded",
      dataset: summary,
      findings: [],
      finding_counts: { error: 0, warning: 0 },
    });
    await attempt.push([event(1, "succeeded", { metrics: {}, artifacts: [] })]);
    expect(await attempt.finish("succeeded")).toEqual({ state: "SUCCEEDED", attempt: 1 });
    expect(await version()).toMatchObject({ state: "READY", summary, findings: [] });
  });

  it("makes it INVALID with the findings", async () => {
    const { attempt, version } = await ingestJob();
    await putResult(attempt.job_id, {
      status: "failed",
      findings: [finding],
      finding_counts: { error: 1, warning: 0 },
    });
    await attempt.finish("failed", { failure: { code: "DATASET_INVALID", message: "1 error" } });
    expect(await version()).toMatchObject({ state: "INVALID", findings: [finding], finding_counts: { error: 1 } });
  });

  it("makes it INVALID with a finding that says so when it is cancelled", async () => {
    const { attempt, version } = await ingestJob();
    await attempt.finish("cancelled");
    expect(await version()).toMatchObject({ state: "INVALID", findings: [{ code: "INGEST_CANCELLED" }] });
  });
});

it("a worker's sign of life changes why jobs wait", async () => {
  const job_id = await world.queued();
  const body = { worker_id: "w-1", framework: "timm", host: "h", slots: 1, busy: 1, stopping: false };
  await world.internal.call(workerHeartbeat, { body });
  expect(await job(job_id)).toMatchObject({ waiting_reason: "Waiting for a free slot" });
  await world.internal.call(workerHeartbeat, { body: { ...body, stopping: true } });
  expect(await job(job_id)).toMatchObject({ waiting_reason: "No timm worker is running" });
});
