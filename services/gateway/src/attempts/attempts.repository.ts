/** Rows of attempts: the lock that orders everything said about one, the lease, the end. */

import type { LauncherName } from "@vision-platform/contracts/api/workers";
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome } from "@vision-platform/contracts/job-state";
import { type RawBuilder, sql, type UpdateObject } from "kysely";
import type { Db } from "../db/db.ts";
import type { AttemptRow, Database, JobRow } from "../db/schema.ts";

const LEASE_S = 15;
/** How long a trainer that outlives its worker is left for the next worker to find, beyond its lease. */
export const ADOPTION_S = 30;
/** Any number would do, as long as every gateway uses the same. */
const GPU_LOCK = 7_305_118;

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

export interface Holder {
  worker_id: string;
  host: string;
  launcher: LauncherName;
  lease_token: string;
}

/** Gives a waiting attempt to a worker, with these of its GPUs. */
export async function takeLease(db: Db, key: AttemptKey, holder: Holder & { gpu_ids: string[] }): Promise<AttemptRow> {
  return await setHolder(db, key, { ...holder, claimed_at: sql<Date>`now()` });
}

/** Gives a running attempt to another worker. */
export async function passLease(db: Db, key: AttemptKey, holder: Holder): Promise<AttemptRow> {
  return await setHolder(db, key, holder);
}

async function setHolder(db: Db, key: AttemptKey, values: UpdateObject<Database, "attempts">): Promise<AttemptRow> {
  return await db
    .updateTable("attempts")
    .set({ ...values, lease_until: sql`now() + make_interval(secs => ${LEASE_S})` })
    .where("job_id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Also an expired lease is renewed, as long as nobody swept it. Undefined when it is lost. */
export async function renewLease(
  db: Db,
  key: AttemptKey & { lease_token: string },
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

/** Ends the lease and leaves the attempt as it runs; false when the token is not its lease's. */
export async function dropLease(db: Db, key: AttemptKey & { lease_token: string }): Promise<boolean> {
  const dropped = await db
    .updateTable("attempts")
    .set({ lease_until: sql`now()`, lease_token: null })
    .where("job_id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .where("lease_token", "=", key.lease_token)
    .where("outcome", "is", null)
    .executeTakeFirst();
  return dropped.numUpdatedRows > 0n;
}

/** One transaction at a time may give GPUs away; held until it ends. */
export async function lockGpus(db: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock(${GPU_LOCK})`.execute(db);
}

/** Shown as the reason why the attempt waits, until it is asked for again. */
export async function noteWaiting(db: Db, key: AttemptKey, reason: string, seconds: number): Promise<void> {
  await db
    .updateTable("jobs")
    .set({ waiting_reason: reason, not_before: sql`now() + make_interval(secs => ${seconds})` })
    .where("id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .where("state", "=", "QUEUED")
    .execute();
}

/** Bytes of the trainer's output whose lines were committed. */
export async function logOffset(db: Db, key: AttemptKey): Promise<number> {
  const row = await db
    .selectFrom("job_events")
    .select(sql<number>`(data->>'offset')::float8`.as("log_offset"))
    .where("job_id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .where("src", "=", "worker")
    .where("type", "=", "log")
    .where(sql<boolean>`data ? 'offset'`)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.log_offset ?? 0;
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

/** By the database's clock nobody comes back to it: a trainer that outlives its worker is given time to be found. */
function isLost(now: RawBuilder<Date>) {
  return sql<boolean>`lease_until < ${now} - make_interval(secs =>
    case when launcher = 'subprocess' then 0 else ${ADOPTION_S}::int end)`;
}

/** Attempts whose lease ran out, and the time to adopt them. */
export async function expiredLeases(db: Db, limit: number): Promise<AttemptKey[]> {
  return await db
    .selectFrom("attempts")
    .select(["job_id", "attempt"])
    .where(isLost(sql<Date>`now()`))
    .where("lease_until", "is not", null)
    .where("outcome", "is", null)
    .orderBy("lease_until")
    .limit(limit)
    .execute();
}

/** Whether the lease is over now (or was released), and the attempt lost; asked behind the job's lock, where no renewal of before can be missed. */
export async function leaseState(db: Db, key: AttemptKey): Promise<{ over: boolean; lost: boolean }> {
  const clock = sql<Date>`clock_timestamp()`;
  const row = await db
    .selectFrom("attempts")
    .select([sql<boolean>`lease_token is null or lease_until < ${clock}`.as("over"), isLost(clock).as("lost")])
    .where("job_id", "=", key.job_id)
    .where("attempt", "=", key.attempt)
    .where("lease_until", "is not", null)
    .where("outcome", "is", null)
    .forUpdate()
    .executeTakeFirst();
  return row ?? { over: false, lost: false };
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
