import {
  adoptAttempt,
  claimAttempt,
  pushEvents,
  releaseLease,
  renewLease,
  workerHeartbeat,
} from "@vision-platform/contracts/api/internal";
import { createJob, getJob, startJob } from "@vision-platform/contracts/api/jobs";
import { listWorkers } from "@vision-platform/contracts/api/workers";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { event, type JobWorld, startJobWorld } from "../jobs/job-testing.ts";
import { sweepLostAttempts } from "../reconcile/sweep.ts";
import { extendAllLeases } from "./leases.repository.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

const job = (job_id: number) => world.owner.call(getJob, { params: { job_id } });
const other = { worker_id: "worker-2", host: "host-2", launcher: "docker" as const };

/** A running attempt whose trainer is a container. */
async function inContainer() {
  const job_id = await world.queued();
  const params = { job_id, attempt: 1 };
  const body = { worker_id: "worker-1", host: "host-1", launcher: "docker" as const };
  const { lease_token } = await world.internal.call(claimAttempt, { params, body });
  const push = (token: string, src_seq: number, data: Record<string, unknown>) =>
    world.internal.call(pushEvents, {
      params,
      body: { lease_token: token, source: "worker", allow_gap: false, events: [event(src_seq, "log", data)] },
    });
  return {
    job_id,
    params,
    lease_token,
    push,
    adopt: (more: object = {}) => world.internal.call(adoptAttempt, { params, body: { ...other, ...more } }),
    release: (token = lease_token) => world.internal.call(releaseLease, { params, body: { lease_token: token } }),
    renew: (token = lease_token) => world.internal.call(renewLease, { params, body: { lease_token: token } }),
  };
}

async function endLease(job_id: number, secondsAgo: number): Promise<void> {
  await world.gateway.db
    .updateTable("attempts")
    .set({ lease_until: sql`now() - make_interval(secs => ${secondsAgo}::int)` })
    .where("job_id", "=", job_id)
    .execute();
}

describe("adoption", () => {
  it("is refused while somebody holds the lease, and open to the holder's token at once", async () => {
    const attempt = await inContainer();
    await expect(attempt.adopt()).rejects.toMatchObject({ status: 409, code: "lease_held" });
    await expect(attempt.adopt({ lease_token: "x".repeat(20) })).rejects.toMatchObject({ code: "lease_held" });
    const spec = await attempt.adopt({ lease_token: attempt.lease_token });
    expect(spec).toMatchObject({ ...attempt.params, kind: "train", last_worker_seq: 0, last_log_offset: 0 });
    await expect(attempt.renew()).rejects.toMatchObject({ status: 409, code: "lease_lost" });
    expect(await attempt.renew(spec.lease_token)).toMatchObject({ cancel: false });
    const [adopted] = (await world.events(attempt.job_id)).slice(-1);
    expect(adopted).toMatchObject({ type: "attempt", data: { status: "adopted", attempt: 1, worker_id: "worker-2" } });
  });

  it("goes on where the committed events and log lines end", async () => {
    const attempt = await inContainer();
    await attempt.push(attempt.lease_token, 1, { level: "info", message: "one", offset: 4 });
    await attempt.push(attempt.lease_token, 2, { level: "info", message: "two", offset: 8 });
    await attempt.release();
    expect(await attempt.adopt()).toMatchObject({ last_worker_seq: 2, last_log_offset: 8 });
  });

  it("goes to exactly one of those who find the trainer", async () => {
    const attempt = await inContainer();
    await attempt.release();
    const adoptions = await Promise.allSettled([1, 2, 3].map((n) => attempt.adopt({ worker_id: `finder-${n}` })));
    expect(adoptions.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("is for trainers of its own launcher and for attempts that run", async () => {
    const process = await world.running();
    const params = { job_id: process.job_id, attempt: 1 };
    const asked = { params, body: { ...other, lease_token: process.lease_token } };
    await expect(world.internal.call(adoptAttempt, asked)).rejects.toMatchObject({ code: "other_launcher" });
    await process.finish("interrupted");
    await expect(world.internal.call(adoptAttempt, asked)).rejects.toMatchObject({ status: 409, code: "stale" });
    const unknown = { params: { job_id: 999_999, attempt: 1 }, body: other };
    await expect(world.internal.call(adoptAttempt, unknown)).rejects.toMatchObject({ status: 404 });
  });

  it("is waited for half a minute beyond the lease before the attempt is lost", async () => {
    const attempt = await inContainer();
    await endLease(attempt.job_id, 20);
    expect(await sweepLostAttempts(world.gateway)).toBe(0);
    const { lease_token } = await attempt.adopt();
    await attempt.release(lease_token);
    await endLease(attempt.job_id, 40);
    expect(await sweepLostAttempts(world.gateway)).toBe(1);
    expect(await job(attempt.job_id)).toMatchObject({ state: "QUEUED", attempt: 2 });
    await expect(attempt.adopt()).rejects.toMatchObject({ status: 409, code: "stale" });
  });

  it("does not wait for a released lease that an outage of the gateway made longer", async () => {
    const attempt = await inContainer();
    await attempt.release();
    await extendAllLeases(world.gateway.db);
    await attempt.adopt();
  });

  it("is possible once the holder has released the lease, and only the holder can", async () => {
    const attempt = await inContainer();
    await expect(attempt.release("y".repeat(20))).rejects.toMatchObject({ status: 409, code: "lease_lost" });
    await attempt.release();
    await expect(attempt.renew()).rejects.toMatchObject({ code: "lease_lost" });
    await attempt.adopt();
  });
});

const GPU = { name: "NVIDIA L4", index: 0, used_mb: 0, utilization: 0 };
const offer = (uuid: string, memory_mb: number) => ({ uuid, memory_mb });

describe("GPUs", () => {
  async function claim(overrides: object, gpus: { uuid: string; memory_mb: number }[]) {
    const { id: job_id } = await world.owner.call(createJob, { body: world.spec(overrides) });
    await world.owner.call(startJob, { params: { job_id } });
    const body = { worker_id: "gpu-host/timm/1", host: "gpu-host", gpus };
    const params = { job_id, attempt: 1 };
    return { job_id, claiming: world.internal.call(claimAttempt, { params, body }) };
  }

  it("are given to one job at a time, whichever worker asks, and are free again at its end", async () => {
    const offered = [offer("GPU-a", 24_576)];
    const first = await claim({}, offered);
    const spec = await first.claiming;
    expect(spec.gpu_ids).toEqual(["GPU-a"]);
    const second = await claim({}, offered);
    await expect(second.claiming).rejects.toMatchObject({ status: 409, code: "gpus_busy", retryable: false });
    const waiting = await job(second.job_id);
    expect(waiting).toMatchObject({ state: "QUEUED", attempt: 1 });
    expect(waiting.waiting_reason).toBe("Waits for a GPU; worker gpu-host/timm/1 has 0 free");
    const sign = { worker_id: "gpu-host/timm/1", framework: "timm", host: "gpu-host", slots: 1, busy: 1 };
    const told = { ...sign, stopping: false, launcher_reason: "TRAINING_EXECUTION_MODE=subprocess" };
    const gpus = [{ ...GPU, ...offer("GPU-a", 24_576) }];
    await world.internal.call(workerHeartbeat, { body: { ...told, gpus } });
    const { items } = await world.owner.call(listWorkers, {});
    expect(items).toMatchObject([{ ...told, launcher: "subprocess", gpus: [{ uuid: "GPU-a", job_id: first.job_id }] }]);
  });

  it("are counted in GiB, and asked for by the job", async () => {
    const offered = [offer("GPU-b", 24_564), offer("GPU-c", 8_192)];
    const two = await claim({ gpus: 1, min_vram_gb: 40 }, offered);
    await expect(two.claiming).rejects.toMatchObject({ code: "gpus_busy" });
    expect(await job(two.job_id)).toMatchObject({
      min_vram_gb: 40,
      waiting_reason: "Waits for a GPU with 40 GB; worker gpu-host/timm/1 has 0 in all",
    });
    const one = await claim({ min_vram_gb: 24 }, offered);
    expect((await one.claiming).gpu_ids).toEqual(["GPU-b"]);
  });

  it("cannot be asked for by half", async () => {
    const asking = world.owner.call(createJob, { body: world.spec({ min_vram_gb: 0 }) });
    await expect(asking).rejects.toMatchObject({ status: 422, errors: [{ pointer: "/min_vram_gb" }] });
  });
});
