/** The lease of an attempt: taken, renewed, passed on, dropped; all by the database's clock. */
import type { LauncherName } from "@vision-platform/contracts/api/workers";
import { type RawBuilder, sql, type UpdateObject } from "kysely";
import type { Db } from "../db/db.ts";
import type { AttemptRow, Database } from "../db/schema.ts";
import type { AttemptKey } from "./attempts.repository.ts";

const LEASE_S = 15;
/** How long a trainer that outlives its worker is left for the next worker to find, beyond its lease. */
const ADOPTION_S = 30;
/** Any number would do, as long as every gateway uses the same. */
const GPU_LOCK = 7_305_118;

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

/** By the database's clock nobody comes back to it: a trainer that outlives its worker is given time to be found. */
function isLost(now: RawBuilder<Date>) {
  return sql<boolean>`lease_until < ${now} - make_interval(secs =>
    case when launcher = 'subprocess' then 0 else ${ADOPTION_S}::int end)`;
}

/**
 * Attempts whose lease ran out, and the time to adopt them; `overdue_s` is how long ago that lease was over. Those whose
 * trainer has said its last word come last: how they end may have to wait for the storage.
 */
export async function expiredLeases(db: Db, limit: number): Promise<(AttemptKey & { overdue_s: number })[]> {
  return await db
    .selectFrom("attempts")
    .select(["job_id", "attempt", sql<number>`extract(epoch from now() - lease_until)::float8`.as("overdue_s")])
    .where(isLost(sql<Date>`now()`))
    .where("lease_until", "is not", null)
    .where("outcome", "is", null)
    .orderBy(sql`terminal_event is not null`)
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
