/** Which workers are there: seen by people as the reason why a job waits. */
import { sql } from "kysely";
import type { Db } from "../db/db.ts";

export interface WorkerSign {
  worker_id: string;
  framework: string;
  host: string;
  slots: number;
  busy: number;
  stopping: boolean;
}

/** A worker is taken for live for so long after its last sign. */
export const WORKER_LIVE_S = 15;

/** Notes the sign with the database's time. */
export async function recordWorker(db: Db, sign: WorkerSign): Promise<void> {
  const { worker_id: _, ...state } = sign;
  await db
    .insertInto("workers")
    .values(sign)
    .onConflict((conflict) => conflict.column("worker_id").doUpdateSet({ ...state, last_seen: sql`now()` }))
    .execute();
}

/** How many workers of each framework are there and take jobs. */
export async function liveWorkers(db: Db): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom("workers")
    .select(["framework", sql<number>`count(*)::int`.as("workers")])
    .where("stopping", "=", false)
    .where("last_seen", ">", sql<Date>`now() - make_interval(secs => ${WORKER_LIVE_S})`)
    .groupBy("framework")
    .execute();
  return new Map(rows.map(({ framework, workers }) => [framework, workers]));
}

/** Rows of workers that are gone for a day tell nobody anything. */
export async function forgetOldWorkers(db: Db): Promise<void> {
  await db.deleteFrom("workers").where("last_seen", "<", sql<Date>`now() - interval '1 day'`).execute();
}
