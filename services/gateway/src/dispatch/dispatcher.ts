/** Hands jobs to the frameworks' queues. The job row is the outbox: whatever is lost here, the reconciler adds again. */
import type { Logger } from "@vision-platform/common/logger";
import { type Span, startSpan } from "@vision-platform/common/tracing";
import { BULLMQ_PREFIX, queueJobId, queueName } from "@vision-platform/contracts/names";
import { type JobsOptions, Queue } from "bullmq";
import type { Redis } from "ioredis";

/** One attempt that waits for a worker. */
export interface Dispatch {
  job_id: number;
  attempt: number;
  framework: string;
  traceparent: string;
}

export interface Dispatcher {
  /** After commit; returns at once and never throws. What is sent in the same tick travels in one round trip. */
  dispatch(...work: Dispatch[]): void;
  /** Adds what its queue has forgotten or already finished with. Rejects when Redis is away. */
  restore(work: readonly Dispatch[]): Promise<number>;
  /** Takes a waiting attempt out again, best effort; a worker that gets it all the same is refused the claim. */
  withdraw(work: Dispatch): void;
  close(): Promise<void>;
}

/** The row says how often a job is tried; BullMQ delivers once. Finished ones go soon: their ids must be free again. */
const OPTIONS = {
  attempts: 1,
  removeOnComplete: { age: 600, count: 100 },
  removeOnFail: { age: 600, count: 100 },
} as const satisfies JobsOptions;

/** Below the span of the request that submitted the job; the worker's spans hang below this one. */
function sendSpan({ job_id, attempt, framework, traceparent }: Dispatch): Span {
  const queue = queueName(framework);
  return startSpan(`send ${queue}`, {
    kind: "producer",
    parent: traceparent,
    attributes: {
      "messaging.system": "bullmq",
      "messaging.operation.name": "send",
      "messaging.destination.name": queue,
      "messaging.message.id": queueJobId(job_id, attempt),
      "vision_platform.job_id": job_id,
      "vision_platform.attempt": attempt,
    },
  });
}

function queued({ job_id, attempt }: Dispatch, { traceparent }: Span) {
  const jobId = queueJobId(job_id, attempt);
  return { name: "attempt", data: { job_id, attempt, traceparent }, opts: { ...OPTIONS, jobId } };
}

function byFramework(work: readonly Dispatch[]): Map<string, Dispatch[]> {
  return Map.groupBy(work, (item) => item.framework);
}

/** `redis`: a command connection without an offline queue, so that nothing waits for a Redis that is away. */
export function createDispatcher(redis: Redis, logger: Logger): Dispatcher {
  const queues = new Map<string, Queue>();
  const sending = new Set<Promise<void>>();
  let collected: Dispatch[] = [];

  function queueOf(framework: string): Queue {
    const known = queues.get(framework);
    if (known) return known;
    const queue = new Queue(queueName(framework), { connection: redis, prefix: BULLMQ_PREFIX });
    queue.on("error", (error) => logger.warn({ err: error, framework }, "queue not reachable"));
    // A queue whose first contact failed stays broken: forget it, the next use makes a new one.
    queue.waitUntilReady().catch(() => queues.delete(framework));
    queues.set(framework, queue);
    return queue;
  }

  async function send(framework: string, work: Dispatch[]): Promise<void> {
    const sent = work.map((item) => ({ item, span: sendSpan(item) }));
    try {
      await queueOf(framework).addBulk(sent.map(({ item, span }) => queued(item, span)));
      for (const { span } of sent) span.end();
    } catch (error) {
      for (const { span } of sent) span.end({ error });
      logger.warn({ err: error, framework, jobs: work.length }, "not dispatched; the reconciler will");
    }
  }

  function flush(): void {
    const work = collected;
    collected = [];
    if (redis.status !== "ready") return;
    for (const [framework, items] of byFramework(work)) {
      const sent = send(framework, items).finally(() => sending.delete(sent));
      sending.add(sent);
    }
  }

  /** The ids that a worker will still get, or has. */
  async function heldIds(queue: Queue): Promise<Set<string>> {
    return new Set(await queue.getRanges(["wait", "active", "delayed", "prioritized"], 0, -1));
  }

  /** Adding an id that a finished job still holds would do nothing: free it first. */
  async function restoreOne(queue: Queue, work: Dispatch): Promise<boolean> {
    const id = queueJobId(work.job_id, work.attempt);
    const state = await queue.getJobState(id);
    if (state === "completed" || state === "failed") await queue.remove(id);
    else if (state !== "unknown") return false;
    const span = sendSpan(work);
    const { name, data, opts } = queued(work, span);
    await queue.add(name, data, opts);
    span.end();
    return true;
  }

  return {
    dispatch(...work) {
      if (collected.length === 0) setImmediate(flush);
      collected.push(...work);
    },
    async restore(work) {
      if (redis.status !== "ready") throw new Error("Redis is away");
      let restored = 0;
      for (const [framework, items] of byFramework(work)) {
        const queue = queueOf(framework);
        const held = await heldIds(queue);
        const missing = items.filter((item) => !held.has(queueJobId(item.job_id, item.attempt)));
        for (let start = 0; start < missing.length; start += 50) {
          const results = await Promise.all(missing.slice(start, start + 50).map((item) => restoreOne(queue, item)));
          restored += results.filter(Boolean).length;
        }
      }
      return restored;
    },
    withdraw(work) {
      if (redis.status !== "ready") return;
      queueOf(work.framework)
        .remove(queueJobId(work.job_id, work.attempt))
        .catch((error: unknown) => logger.debug({ err: error, job_id: work.job_id }, "not withdrawn from the queue"));
    },
    async close() {
      if (collected.length > 0) flush();
      await Promise.allSettled(sending);
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
      queues.clear();
    },
  };
}
