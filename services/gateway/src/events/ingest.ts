/** The one function that both doors end in: the worker's events and the trainer's callbacks. */
import { checkpointsPrefix, s3Uri } from "@vision-platform/contracts/names";
import type { TrainerEventHead } from "@vision-platform/contracts/trainer-events";
import { lockAttempt } from "../attempts/attempts.repository.ts";
import { checkFence, type Fence } from "../attempts/fence.ts";
import type { JobRow } from "../db/schema.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { nothingSaid } from "./announcements.ts";
import { type Batch, judgeBatch, type Source } from "./event-batch.ts";
import { envelope } from "./event-log.repository.ts";
import { touchAttempt, writeBatch } from "./ingest.repository.ts";

export interface IngestInput {
  job_id: number;
  attempt: number;
  source: Source;
  events: readonly TrainerEventHead[];
  /** Numbers that are missing can never come any more: go over them with a warning. */
  allow_gap: boolean;
  fence: Fence;
}

export interface IngestAnswer {
  /** The highest src_seq up to which nothing is missing: send again from there. */
  acked: number;
  cancel: boolean;
}

/**
 * Stores what is new of a batch under the next seq numbers, commits, and only then publishes. Repeating a batch, in part
 * or in whole and through whichever door, changes nothing. Throws what checkFence throws.
 */
export async function ingest(gateway: JobsGateway, input: IngestInput): Promise<IngestAnswer> {
  const said = nothingSaid();
  const answer = await gateway.db.transaction().execute(async (tx) => {
    const found = await lockAttempt(tx, input.job_id, input.attempt);
    const attempt = checkFence(found, input.attempt, input.fence);
    const job = (found as { job: JobRow }).job;
    const last = input.source === "trainer" ? attempt.last_src_seq : attempt.last_worker_seq;
    const batch = judgeBatch(input.events, {
      source: input.source,
      last,
      allow_gap: input.allow_gap,
      ended: attempt.terminal_event !== null,
      primary_metric: job.primary_metric ?? undefined,
    });
    const cancel = job.cancel_requested_at !== null;
    if (batch.last === last) return { acked: last, cancel };
    const first = await writeBatch(tx, {
      ...input,
      last_seq: job.last_seq,
      batch,
      resume_uri: batch.resumable ? s3Uri(gateway.config.STORAGE_BUCKET, checkpointsPrefix(job.id)) : null,
    });
    gateway.meters.count(input.source, batch);
    said.events = envelopes(job, input.attempt, first, batch);
    return { acked: batch.last, cancel };
  });
  gateway.announcer.announce(said);
  return answer;
}

/** A sign of life; answers how far the trainer's events were taken. Throws what checkFence throws. */
export async function heartbeat(gateway: JobsGateway, job_id: number, attempt: number): Promise<IngestAnswer> {
  return await gateway.db.transaction().execute(async (tx) => {
    const found = await lockAttempt(tx, job_id, attempt);
    const row = checkFence(found, attempt, { door: "callback" });
    await touchAttempt(tx, job_id, attempt);
    return { acked: row.last_src_seq, cancel: found?.job.cancel_requested_at !== null };
  });
}

function envelopes(job: JobRow, attempt: number, first: number, batch: Batch) {
  return batch.accepted.map(({ src, type, ts, data }, index) =>
    envelope(job, { seq: first + index, attempt, src, type, ts: new Date(ts), data }),
  );
}
