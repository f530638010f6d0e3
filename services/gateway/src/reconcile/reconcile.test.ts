import { connectRedis } from "@vision-platform/common/redis";
import { cancelJob, createJob, getJob } from "@vision-platform/contracts/api/jobs";
import { BULLMQ_PREFIX, queueJobId, queueName } from "@vision-platform/contracts/names";
import { Queue, Worker } from "bullmq";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type JobWorld, startJobWorld } from "../jobs/job-testing.ts";
import { type Reconciler, startReconciler } from "./reconciler.ts";

let world: JobWorld;
let queue: Queue;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
  const connection = connectRedis(world.gateway.config.REDIS_URL, "blocking");
  queue = new Queue(queueName("timm"), { connection, prefix: BULLMQ_PREFIX });
  await queue.waitUntilReady();
});
afterAll(async () => {
  await queue?.close();
  await (await queue.getBackend().client).quit();
  await world?.stop();
});

const stateOf = (job_id: number, attempt = 1) => queue.getJobState(queueJobId(job_id, attempt));
const job = (job_id: number) => world.owner.call(getJob, { params: { job_id } });

async function setLease(job_id: number, secondsFromNow: number): Promise<void> {
  const lease_until = new Date(Date.now() + secondsFromNow * 1000);
  await world.gateway.db
    .updateTable("attempts")
    .set({ lease_until })
    .where("job_id", "=", job_id)
    .where("outcome", "is", null)
    .execute();
}

describe("dispatch", () => {
  it("puts a started job into its framework's queue, with its ids and trace only, and takes a cancelled one out", async () => {
    const created = await world.owner.call(createJob, { body: world.spec({ start: true }) });
    await expect.poll(() => stateOf(created.id)).toBe("waiting");
    const queued = await queue.getJob(queueJobId(created.id, 1));
    expect(queued?.data).toEqual({
      job_id: created.id,
      attempt: 1,
      traceparent: expect.stringContaining(created.trace_id),
    });
    await world.owner.call(cancelJob, { params: { job_id: created.id } });
    await expect.poll(() => stateOf(created.id)).toBe("unknown");
  });
});

describe("the reconciler", () => {
  let reconciler: Reconciler;
  beforeEach(async () => {
    reconciler = startReconciler(world.gateway);
    await reconciler.tick();
  });
  afterEach(() => reconciler.stop());

  it("rebuilds the queue after Redis lost everything", async () => {
    const ids = await Promise.all([1, 2, 3].map(() => world.queued()));
    for (const id of ids) await expect.poll(() => stateOf(id)).toBe("waiting");
    await world.gateway.redis.flushdb();
    await reconciler.tick();
    expect(await Promise.all(ids.map((id) => stateOf(id)))).toEqual(["waiting", "waiting", "waiting"]);
  });

  it("adds a job again that its worker dropped without a claim", async () => {
    const job_id = await world.queued();
    await expect.poll(() => stateOf(job_id)).toBe("waiting");
    const connection = connectRedis(world.gateway.config.REDIS_URL, "blocking");
    const worker = new Worker(queueName("timm"), async () => undefined, { connection, prefix: BULLMQ_PREFIX });
    await expect.poll(() => stateOf(job_id)).toBe("completed");
    await worker.close();
    await connection.quit();
    await reconciler.tick();
    expect(await stateOf(job_id)).toBe("waiting");
  });

  it("gives a lost attempt's job to the next worker, and refuses the first one's return", async () => {
    const attempt = await world.running();
    await setLease(attempt.job_id, -1);
    await reconciler.tick();
    expect(await job(attempt.job_id)).toMatchObject({
      state: "QUEUED",
      attempt: 2,
      attempts: [{ outcome: "lost" }, { worker_id: null }],
    });
    await expect(attempt.finish("succeeded")).rejects.toMatchObject({ status: 409 });
    await expect.poll(() => stateOf(attempt.job_id, 2), { timeout: 4_000 }).toBe("waiting");
    expect((await world.claim(attempt.job_id, 2)).attempt).toBe(2);
  });

  it("kills nothing after an outage of the gateway: every lease gets its time again", async () => {
    const attempt = await world.running();
    await setLease(attempt.job_id, -60);
    const fresh = startReconciler(world.gateway);
    await fresh.tick();
    await fresh.stop();
    expect(await job(attempt.job_id)).toMatchObject({ state: "RUNNING", attempt: 1 });
  });

  it("stands aside while another gateway looks", async () => {
    const other = startReconciler(world.gateway);
    await Promise.all([reconciler.tick(), other.tick(), reconciler.tick()]);
    expect(other.lastSuccess()).toBeGreaterThan(0);
    await other.stop();
  });
});
