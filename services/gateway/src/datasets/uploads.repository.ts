import { type Selectable, sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { UploadsTable } from "../db/schema.ts";

export type UploadRow = Selectable<UploadsTable>;

export async function insertUpload(
  db: Db,
  upload: {
    id: string;
    dataset_id: number;
    filename: string;
    bytes: number;
    multipart_id: string | null;
    hours: number;
  },
): Promise<UploadRow> {
  const { hours, ...row } = upload;
  return await db
    .insertInto("uploads")
    .values({ ...row, completed_version: null, expires_at: sql<Date>`now() + make_interval(hours => ${hours})` })
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function uploadOf(
  db: Db,
  dataset_id: number,
  id: string,
): Promise<(UploadRow & { expired: boolean }) | undefined> {
  return await db
    .selectFrom("uploads")
    .selectAll()
    .select(sql<boolean>`expires_at <= now()`.as("expired"))
    .where("id", "=", id)
    .where("dataset_id", "=", dataset_id)
    .executeTakeFirst();
}

/** Until the end of the transaction nobody else completes or expires it. Undefined when it is gone. */
export async function lockUpload(db: Db, id: string): Promise<UploadRow | undefined> {
  return await db.selectFrom("uploads").selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
}

export async function markCompleted(db: Db, id: string, completed_version: number): Promise<void> {
  await db.updateTable("uploads").set({ completed_version }).where("id", "=", id).execute();
}

/** What a completed upload became: the version's job with the settings it was started with. */
export async function completedJob(db: Db, dataset_id: number, version: number) {
  return await db
    .selectFrom("dataset_versions")
    .innerJoin("jobs", "jobs.id", "dataset_versions.job_id")
    .select(["jobs.id as job_id", "jobs.seed", "jobs.config"])
    .where("dataset_versions.dataset_id", "=", dataset_id)
    .where("version", "=", version)
    .executeTakeFirstOrThrow();
}

/** Uploads that nobody completed in time. */
export async function abandonedUploads(db: Db, count: number): Promise<UploadRow[]> {
  return await db
    .selectFrom("uploads")
    .selectAll()
    .where("completed_version", "is", null)
    .where("expires_at", "<", sql<Date>`now()`)
    .limit(count)
    .execute();
}

/** False when somebody has completed it meanwhile. */
export async function deleteAbandoned(db: Db, id: string): Promise<boolean> {
  const row = await db
    .deleteFrom("uploads")
    .where("id", "=", id)
    .where("completed_version", "is", null)
    .returning("id")
    .executeTakeFirst();
  return row !== undefined;
}
