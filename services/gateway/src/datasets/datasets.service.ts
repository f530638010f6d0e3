/** Datasets and their versions, as people see them. */
import { conflict, notFound } from "@vision-platform/common/app-error";
import type {
  createDataset,
  Dataset,
  DatasetVersion,
  getDataset,
  listDatasets,
} from "@vision-platform/contracts/api/datasets";
import type { BodyOf, QueryOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import type { Role } from "@vision-platform/contracts/api/projects";
import { z } from "zod";
import type { Db } from "../db/db.ts";
import type { Principal } from "../http/access.ts";
import { pageFrom, readCursor } from "../http/page.ts";
import { requireRole } from "../projects/authorization.ts";
import {
  type DatasetRow,
  datasetById,
  insertDataset,
  listDatasetRows,
  listVersions,
  type VersionRow,
} from "./datasets.repository.ts";

function toDataset(row: DatasetRow): Dataset {
  return { ...row, created_at: row.created_at.toISOString() };
}

function toVersion({ dataset_id: _, ...row }: VersionRow): DatasetVersion {
  return { ...row, created_at: row.created_at.toISOString() };
}

/** 404 no such project, 403 not an editor of it, 409 the name is taken. */
export async function makeDataset(db: Db, user: Principal, body: BodyOf<typeof createDataset>): Promise<Dataset> {
  await requireRole(db, user, body.project_id, "editor");
  const row = await insertDataset(db, body);
  if (row === undefined) throw conflict("The project has a dataset of this name already", "dataset_name_taken");
  return toDataset({ ...row, latest_version: null });
}

/** The dataset, once the caller's role in its project is known to suffice. 404 and 403 as for projects. */
export async function requireDataset(db: Db, user: Principal, dataset_id: number, needed: Role): Promise<DatasetRow> {
  const dataset = await datasetById(db, dataset_id);
  if (dataset === undefined) throw notFound("Dataset not found");
  await requireRole(db, user, dataset.project_id, needed);
  return dataset;
}

export async function datasetPage(
  db: Db,
  user: Principal,
  { cursor, limit, project_id }: QueryOf<typeof listDatasets>,
): Promise<ResponseOf<typeof listDatasets>> {
  const before = readCursor(cursor, z.int());
  if (project_id !== undefined) await requireRole(db, user, project_id, "viewer");
  const rows = await listDatasetRows(db, { project_id, user_id: user.user_id, before }, limit + 1);
  return pageFrom(rows, limit, (row) => row.id, toDataset);
}

export async function datasetWithVersions(
  db: Db,
  user: Principal,
  dataset_id: number,
): Promise<ResponseOf<typeof getDataset>> {
  const dataset = await requireDataset(db, user, dataset_id, "viewer");
  return { ...toDataset(dataset), versions: (await listVersions(db, dataset_id)).map(toVersion) };
}
