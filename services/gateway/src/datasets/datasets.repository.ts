import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { type Selectable, sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { DatasetsTable, DatasetVersionsTable } from "../db/schema.ts";

export type DatasetRow = Selectable<DatasetsTable> & { latest_version: number | null };
export type VersionRow = Selectable<DatasetVersionsTable>;

/** The newest READY version, as a column. */
const latestVersion = sql<number | null>`(
  select max(version) from dataset_versions where dataset_versions.dataset_id = datasets.id and state = 'READY'
)`.as("latest_version");

/** Undefined when the project has a dataset of that name. */
export async function insertDataset(db: Db, dataset: { project_id: number; name: string; task_type: TaskType }) {
  return await db
    .insertInto("datasets")
    .values(dataset)
    .onConflict((conflict) => conflict.columns(["project_id", "name"]).doNothing())
    .returningAll()
    .executeTakeFirst();
}

export async function datasetById(db: Db, id: number): Promise<DatasetRow | undefined> {
  return await db.selectFrom("datasets").selectAll().select(latestVersion).where("id", "=", id).executeTakeFirst();
}

/** Newest first, below `before`; of one project, or of every project the user is in. */
export async function listDatasetRows(
  db: Db,
  filter: { project_id?: number | undefined; user_id: number; before: number | undefined },
  count: number,
): Promise<DatasetRow[]> {
  let query = db.selectFrom("datasets").selectAll().select(latestVersion).orderBy("id", "desc").limit(count);
  if (filter.before !== undefined) query = query.where("id", "<", filter.before);
  if (filter.project_id !== undefined) return await query.where("project_id", "=", filter.project_id).execute();
  return await query
    .where(
      "project_id",
      "in",
      db.selectFrom("project_members").select("project_id").where("user_id", "=", filter.user_id),
    )
    .execute();
}

/** Newest first. */
export async function listVersions(db: Db, dataset_id: number): Promise<VersionRow[]> {
  return await db
    .selectFrom("dataset_versions")
    .selectAll()
    .where("dataset_id", "=", dataset_id)
    .orderBy("version", "desc")
    .execute();
}

/** The number of the next version; until the end of the transaction nobody else takes it. */
export async function takeNextVersion(db: Db, dataset_id: number): Promise<number> {
  await db.selectFrom("datasets").select("id").where("id", "=", dataset_id).forUpdate().execute();
  const row = await db
    .selectFrom("dataset_versions")
    .select((select) => select.fn.max("version").as("newest"))
    .where("dataset_id", "=", dataset_id)
    .executeTakeFirst();
  return (row?.newest ?? 0) + 1;
}

export async function insertVersion(
  db: Db,
  row: { dataset_id: number; version: number; job_id: number; filename: string },
): Promise<void> {
  await db.insertInto("dataset_versions").values(row).execute();
}
