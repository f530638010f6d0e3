/** Writes a judged batch: events, the job's newest figures, the attempt's cursor. One statement. */
import { sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { Batch, Source } from "./event-batch.ts";

export interface BatchWrite {
  job_id: number;
  attempt: number;
  source: Source;
  /** The job's last_seq before the batch; its row is locked. */
  last_seq: number;
  batch: Batch;
  /** Where the next attempt can resume; null leaves what is known. */
  resume_uri: string | null;
}

/** Returns the accepted events' first seq; they are numbered from there without a gap. */
export async function writeBatch(db: Db, write: BatchWrite): Promise<number> {
  const { job_id, attempt, batch } = write;
  const first = write.last_seq + 1;
  const rows = batch.accepted.map((event, index) => ({ ...event, seq: first + index }));
  const cursor = write.source === "trainer" ? sql`last_src_seq = ${batch.last}` : sql`last_worker_seq = ${batch.last}`;
  await sql`
    with job as (
      update jobs set last_seq = ${write.last_seq + rows.length},
        phase = case when cancel_requested_at is null then coalesce(${batch.phase}, phase) else phase end,
        waiting_reason = case when ${batch.phase}::text is null then waiting_reason else ${batch.waiting_reason} end,
        progress = progress || ${JSON.stringify(batch.progress)}::jsonb,
        metrics = metrics || ${JSON.stringify(batch.metrics)}::jsonb
      where id = ${job_id}
    ), cursor as (
      update attempts set ${cursor}, last_event_at = now(),
        resources = coalesce(${json(batch.resources)}::jsonb, resources),
        terminal_event = coalesce(${json(batch.terminal)}::jsonb, terminal_event),
        resume_uri = coalesce(${write.resume_uri}, resume_uri)
      where job_id = ${job_id} and attempt = ${attempt}
    )
    insert into job_events (job_id, seq, attempt, src, src_seq, type, ts, data)
    select ${job_id}, e.seq, ${attempt}, e.src, e.src_seq, e.type, e.ts, e.data
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as e(seq integer, src text, src_seq integer, type text, ts timestamptz, data jsonb)`.execute(db);
  return first;
}

function json(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

/** A sign of life without an event. */
export async function touchAttempt(db: Db, job_id: number, attempt: number): Promise<void> {
  await db
    .updateTable("attempts")
    .set({ last_event_at: sql`now()` })
    .where("job_id", "=", job_id)
    .where("attempt", "=", attempt)
    .execute();
}
