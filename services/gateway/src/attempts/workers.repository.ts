/** Which workers are there: seen by people as the reason why a job waits. */
import type { workerHeartbeat } from "@vision-platform/contracts/api/internal";
import type { BodyOf } from "@vision-platform/contracts/api/operation";
import type { WorkerView } from "@vision-platform/contracts/api/workers";
import { sql } from "kysely";
import type { Db } from "../db/db.ts";

type WorkerSign = BodyOf<typeof workerHeartbeat>;

/** A worker is taken for live for so long after its last sign. */
export const WORKER_LIVE_S = 15;

/** Notes the sign with the database's time. */
export async function recordWorker(db: Db, sign: WorkerSign): Promise<void> {
  const { worker_id, ...rest } = sign;
  const state = { ...rest, gpus: JSON.stringify(sign.gpus) };
  await db
    .insertInto("workers")
    .values({ worker_id, ...state })
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

/** Everything that is known of the workers that are there, by framework and host. */
export async function presentWorkers(db: Db): Promise<WorkerView[]> {
  const rows = await db
    .selectFrom("workers")
    .selectAll()
    .where("last_seen", ">", sql<Date>`now() - make_interval(secs => ${WORKER_LIVE_S})`)
    .orderBy("framework")
    .orderBy("host")
    .orderBy("worker_id")
    .execute();
  const users = await gpuUsers(db);
  return rows.map(({ gpus, last_seen, ...row }) => ({
    ...row,
    gpus: gpus.map((gpu) => ({ ...gpu, job_id: users.get(gpu.uuid) ?? null })),
    last_seen: last_seen.toISOString(),
  }));
}

/** Which job each GPU was given to; free ones are left out. */
export async function gpuUsers(db: Db): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom("attempts")
    .select(["job_id", "gpu_ids"])
    .where("outcome", "is", null)
    .where(sql<boolean>`gpu_ids <> '{}'`)
    .execute();
  return new Map(rows.flatMap(({ job_id, gpu_ids }) => gpu_ids.map((uuid) => [uuid, job_id] as const)));
}

/** Rows of workers that are gone for a day tell nobody anything. */
export async function forgetOldWorkers(db: Db): Promise<void> {
  await db.deleteFrom("workers").where("last_seen", "<", sql<Date>`now() - interval '1 day'`).execute();
}
