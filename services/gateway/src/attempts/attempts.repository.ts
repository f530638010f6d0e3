/** Rows of attempts: the lock that orders everything said about one, and its end. */
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome } from "@vision-platform/contracts/job-state";
import { sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { AttemptRow, JobRow } from "../db/schema.ts";

export interface AttemptKey {
  job_id: number;
  attempt: number;
}

export interface JobAndAttempt {
  job: JobRow;
  /** Undefined when the job never had this attempt. */
  attempt: AttemptRow | undefined;
}

/** The job and one of its attempts, read without a lock; undefined when there is no such job. */
export async function readAttempt(db: Db, job_id: number, attempt: number): Promise<JobAndAttempt | undefined> {
  const job = await db.selectFrom("jobs").selectAll().where("id", "=", job_id).executeTakeFirst();
  if (!job) return undefined;
  return { job, attempt: await attemptRow(db, job_id, attempt) };
}

/**
 * The same behind the job's row lock, which orders all writers of a job. The attempt is read by a statement of its own,
 * after the lock was got, and so sees what the writer before has committed.
 */
export async function lockAttempt(db: Db, job_id: number, attempt: number): Promise<JobAndAttempt | undefined> {
  const job = await db.selectFrom("jobs").selectAll().where("id", "=", job_id).forUpdate().executeTakeFirst();
  if (!job) return undefined;
  return { job, attempt: await attemptRow(db, job_id, attempt) };
}

async function attemptRow(db: Db, job_id: number, attempt: number): Promise<AttemptRow | undefined> {
  const query = db.selectFrom("attempts").selectAll().where("job_id", "=", job_id).where("attempt", "=", attempt);
  return await query.executeTakeFirst();
}

export interface AttemptEnd {
  outcome: AttemptOutcome;
  exit_code: number | null;
  failure: Failure | undefined;
  log_bytes: number | null;
  /** Without its token the holder of a swept lease is told that it is lost. */
  revoke: boolean;
}

/** Ends the attempt's lease and says how it ended; its job is moved on in the same transaction. */
export async function recordEnd(db: Db, key: AttemptKey, end: AttemptEnd): Promise<void> {
  await db
    .updateTable("attempts")
    .set({
      outcome: end.outcome,
      exit_code: end.exit_code,
      failure: end.failure === undefined ? null : JSON.stringify(end.failure),
      log_bytes: end.log_bytes,
      finished_at: sql`now()`,
      lease_until: null,
      ...(end.revoke ? { lease_token: null } : {}),
    })
    .where("job_id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .execute();
}

/** How many of the job's attempts ended because their worker was stopped. */
export async function countInterruptions(db: Db, job_id: number): Promise<number> {
  const row = await db
    .selectFrom("attempts")
    .select(({ fn }) => fn.countAll<number>().as("interruptions"))
    .where("job_id", "=", job_id)
    .where("outcome", "=", "interrupted")
    .executeTakeFirstOrThrow();
  return row.interruptions;
}
