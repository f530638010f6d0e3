/** Rows of attempts: the lock that orders everything said about one, the lease, the end. */
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome } from "@vision-platform/contracts/job-state";
import { sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { AttemptRow, JobRow } from "../db/schema.ts";

const LEASE_S = 15;

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

/** Gives a waiting attempt to a worker. */
export async function takeLease(
  db: Db,
  key: { job_id: number; attempt: number },
  holder: { worker_id: string; host: string; lease_token: string },
): Promise<AttemptRow> {
  return await db
    .updateTable("attempts")
    .set({ ...holder, claimed_at: sql`now()`, lease_until: sql`now() + make_interval(secs => ${LEASE_S})` })
    .where("job_id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Also an expired lease is renewed, as long as nobody swept it. Undefined when it is lost. */
export async function renewLease(
  db: Db,
  key: { job_id: number; attempt: number; lease_token: string },
): Promise<{ lease_until: Date; cancel_requested_at: Date | null } | undefined> {
  const result = await sql<{ lease_until: Date; cancel_requested_at: Date | null }>`
    update attempts set lease_until = now() + make_interval(secs => ${LEASE_S})
    from jobs
    where attempts.job_id = ${key.job_id} and attempts.attempt = ${key.attempt}
      and attempts.lease_token = ${key.lease_token} and attempts.outcome is null
      and jobs.id = attempts.job_id and jobs.attempt = attempts.attempt and jobs.state = 'RUNNING'
    returning attempts.lease_until, jobs.cancel_requested_at`.execute(db);
  return result.rows[0];
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
export async function recordEnd(db: Db, key: { job_id: number; attempt: number }, end: AttemptEnd): Promise<void> {
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

/** Attempts whose lease ran out by the database's clock. */
export async function expiredLeases(db: Db, limit: number): Promise<{ job_id: number; attempt: number }[]> {
  return await db
    .selectFrom("attempts")
    .select(["job_id", "attempt"])
    .where("lease_until", "<", sql<Date>`now()`)
    .where("outcome", "is", null)
    .orderBy("lease_until")
    .limit(limit)
    .execute();
}

/** True when the lease is over now; asked behind the job's lock, where no renewal of before can be missed. */
export async function isLeaseOver(db: Db, key: { job_id: number; attempt: number }): Promise<boolean> {
  const row = await db
    .selectFrom("attempts")
    .select("job_id")
    .where("job_id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .where("lease_until", "<", sql<Date>`clock_timestamp()`)
    .where("outcome", "is", null)
    .forUpdate()
    .executeTakeFirst();
  return row !== undefined;
}

/** After an outage of ours every holder gets the time to come back. */
export async function extendAllLeases(db: Db): Promise<void> {
  await db
    .updateTable("attempts")
    .set({ lease_until: sql`greatest(lease_until, now() + make_interval(secs => ${LEASE_S}))` })
    .where("lease_until", "is not", null)
    .where("outcome", "is", null)
    .execute();
}
