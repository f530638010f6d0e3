/** The log of every job: rows numbered 1, 2, 3… by the same UPDATE that moves jobs.last_seq. */
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { JobRow } from "../db/schema.ts";

/** What an envelope needs of its job. */
export type EventJob = Pick<JobRow, "id" | "project_id" | "trace_id">;

export interface EventRow {
  seq: number;
  attempt: number;
  src: "gateway" | "worker" | "trainer";
  type: string;
  ts: Date;
  data: Record<string, unknown>;
}

/** The row as readers see it, the same on every road. */
export function envelope(job: EventJob, row: EventRow): JobEvent {
  const { seq, attempt, src, type, data } = row;
  const { id: job_id, project_id, trace_id } = job;
  return { v: 1, job_id, project_id, seq, attempt, src, type, ts: row.ts.toISOString(), trace_id, data };
}

/** Appends one event of the gateway. The job must exist; its row stays locked until the transaction ends. */
export async function appendEvent(
  db: Db,
  job_id: number,
  event: { attempt: number; type: string; data: Record<string, unknown> },
): Promise<JobEvent> {
  const result = await sql<EventJob & EventRow>`
    with job as (
      update jobs set last_seq = last_seq + 1 where id = ${job_id} returning id, project_id, trace_id, last_seq
    )
    insert into job_events (job_id, seq, attempt, src, type, ts, data)
    select id, last_seq, ${event.attempt}::int, 'gateway', ${event.type}::text, clock_timestamp(),
      ${JSON.stringify(event.data)}::jsonb
    from job
    returning job_id as id, seq, attempt, src, type, ts, data,
      (select project_id from job) as project_id, (select trace_id from job) as trace_id`.execute(db);
  const row = result.rows[0];
  if (!row) throw new Error(`job ${job_id} vanished while its row was locked`);
  return envelope(row, row);
}

/** Committed events with seq > after, in order. `type` narrows to one type. */
export async function readEvents(
  db: Db,
  job: EventJob,
  page: { after: number; limit: number; type?: string | undefined },
): Promise<JobEvent[]> {
  let query = db
    .selectFrom("job_events")
    .select(["seq", "attempt", "src", "type", "ts", "data"])
    .where("job_id", "=", job.id)
    .where("seq", ">", page.after);
  if (page.type !== undefined) query = query.where("type", "=", page.type);
  const rows = await query.orderBy("seq").limit(page.limit).execute();
  return rows.map((row) => envelope(job, row));
}
