/** What the reconciler looks for. */
import { type Kysely, sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { Database } from "../db/schema.ts";
import type { Dispatch } from "../dispatch/dispatcher.ts";

/** Any number would do, as long as every gateway uses the same. */
const LEADER_LOCK = 7_305_117;

/**
 * Runs `work` unless another gateway is at it. The lock ends with its transaction, also when this process dies; `work`
 * uses connections of its own. Answers whether it ran.
 */
export async function asLeader(db: Kysely<Database> | Db, work: () => Promise<void>): Promise<boolean> {
  return await db.transaction().execute(async (tx) => {
    const result = await sql<{ got: boolean }>`select pg_try_advisory_xact_lock(${LEADER_LOCK}) as got`.execute(tx);
    if (result.rows[0]?.got !== true) return false;
    await work();
    return true;
  });
}

/** Jobs that wait for a worker now, oldest first. */
export async function waitingJobs(db: Db, limit: number): Promise<Dispatch[]> {
  return await db
    .selectFrom("jobs")
    .select(["id as job_id", "attempt", "framework", "traceparent"])
    .where("state", "=", "QUEUED")
    .where((where) => where.or([where("not_before", "is", null), where("not_before", "<=", sql<Date>`now()`)]))
    .orderBy("queued_at")
    .limit(limit)
    .execute();
}
