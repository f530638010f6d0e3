/** Takes attempts from the framework's queue. A job of BullMQ is a hint to claim, nothing more. */
import type { Logger } from "@vision-platform/common/logger";
import { BULLMQ_PREFIX, queueName } from "@vision-platform/contracts/names";
import { DelayedError, type Job, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { z } from "zod";
import { isFenced, isGpusBusy } from "../attempt-api.ts";
import type { Supervisor } from "../supervision/supervisor.ts";

/** How long an attempt goes back to the queue when the gateway cannot be asked for it. */
const GATEWAY_AWAY_DELAY_MS = 2_000;
/** How long it goes back when the job's GPUs are not free here; another worker may have them. */
const GPUS_BUSY_DELAY_MS = 5_000;
/** How long it goes back when adopted attempts fill the slots of this worker. */
const FULL_DELAY_MS = 1_000;

const Payload = z.looseObject({ job_id: z.int().min(1), attempt: z.int().min(1), traceparent: z.string().optional() });

export interface Intake {
  /** Attempts that did not come from the queue take slots, too: so many are left for those that do. */
  setRoom(room: number): void;
  /** Takes nothing new, and resolves when what runs is done. */
  close(): Promise<void>;
}

export interface IntakeOptions {
  framework: string;
  slots: number;
  /** A connection without a limit of retries. */
  redis: Redis;
  supervisor: Supervisor;
  logger: Logger;
}

async function putBack(job: Job, token: string | undefined, delayMs = GATEWAY_AWAY_DELAY_MS): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, token);
  throw new DelayedError();
}

/**
 * Starts at once. A refused claim completes the BullMQ job: somebody else has the attempt, or it is over. While the
 * gateway is away the job goes back for two seconds; should Redis forget it, the gateway's reconciler adds it again.
 */
export function startIntake({ framework, slots, redis, supervisor, logger }: IntakeOptions): Intake {
  let closing = false;
  let room = slots;
  let taken = 0;

  // BullMQ gives an AbortSignal only to a processor that declares three parameters.
  const processor = async (job: Job, token: string | undefined, _signal: AbortSignal | undefined): Promise<void> => {
    const payload = Payload.safeParse(job.data);
    if (!payload.success) return logger.error({ id: job.id }, "not an attempt; left out");
    if (closing) return await putBack(job, token);
    if (taken + supervisor.adopted >= slots) return await putBack(job, token, FULL_DELAY_MS);
    const { job_id, attempt, traceparent } = payload.data;
    taken += 1;
    try {
      await supervisor.run({ job_id, attempt }, { traceparent, at: new Date() });
    } catch (error) {
      if (isGpusBusy(error)) {
        logger.info({ job_id, attempt, reason: (error as Error).message }, "the attempt waits for GPUs");
        return await putBack(job, token, GPUS_BUSY_DELAY_MS);
      }
      if (isFenced(error)) return logger.info({ job_id, attempt }, "the attempt is not to be had");
      logger.warn({ err: error, job_id, attempt }, "the gateway cannot be asked; the attempt goes back");
      await putBack(job, token);
    } finally {
      taken -= 1;
    }
  };

  const worker = new Worker(queueName(framework), processor, {
    connection: redis,
    prefix: BULLMQ_PREFIX,
    concurrency: slots,
    lockDuration: 30_000,
    stalledInterval: 5_000,
    // Postgres counts attempts; a limit here would fail a job on its second crash.
    maxStalledCount: 1_000,
    metrics: { maxDataPoints: 1_440 },
  });
  worker.on("error", (error) => logger.warn({ err: error }, "queue"));

  return {
    setRoom(next) {
      if (closing || next === room) return;
      room = next;
      worker.concurrency = Math.max(1, room);
      if (room > 0) worker.resume();
      else worker.pause(true).catch((error: unknown) => logger.warn({ err: error }, "queue not paused"));
    },
    async close() {
      closing = true;
      await worker.close();
    },
  };
}
