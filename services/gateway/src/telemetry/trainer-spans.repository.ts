/** Reads what the spans of an attempt are made of. */
import { sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { SpanEvent } from "./trainer-spans.ts";

export interface TracedAttempt {
  framework: string;
  /** Of the request that submitted the job. */
  traceparent: string;
  claimed_at: Date | null;
}

/** Undefined when the attempt is not there. */
export async function findTracedAttempt(db: Db, job_id: number, attempt: number): Promise<TracedAttempt | undefined> {
  return await db
    .selectFrom("attempts")
    .innerJoin("jobs", "jobs.id", "attempts.job_id")
    .select(["jobs.framework", "jobs.traceparent", "attempts.claimed_at"])
    .where("attempts.job_id", "=", job_id)
    .where("attempts.attempt", "=", attempt)
    .executeTakeFirst();
}

/** The trainer's milestones of one attempt, in order: no progress, no log, no metrics of single steps. */
export async function trainerMilestones(db: Db, job_id: number, attempt: number): Promise<SpanEvent[]> {
  const result = await sql<SpanEvent>`
    select type, ts, data from job_events
    where job_id = ${job_id} and attempt = ${attempt} and src = 'trainer'
      and (type in ('started', 'phase', 'checkpoint', 'succeeded', 'failed', 'stopped')
        or (type = 'metrics' and data->>'scope' = 'epoch'))
    order by seq limit 10000`.execute(db);
  return result.rows;
}
