import { z } from "zod";
import { DatasetSummary, Finding, TaskType } from "../storage-manifests.ts";
import { Id, IdNumber, operation, PageQuery, pageOf, Timestamp } from "./operation.ts";

/** How an upload may be laid out; `auto` finds out. Which of them fit depends on the dataset's task. */
export const SOURCE_FORMATS = ["auto", "image_folder", "coco", "yolo", "voc", "masks", "captions"] as const;

export const DATASET_VERSION_STATES = ["INGESTING", "READY", "INVALID"] as const;

export const DatasetVersion = z
  .object({
    version: z.int(),
    state: z.enum(DATASET_VERSION_STATES),
    /** The ingest job that makes it. */
    job_id: z.int(),
    filename: z.string(),
    summary: DatasetSummary.nullable(),
    findings: z.array(Finding),
    finding_counts: z.object({ error: z.int(), warning: z.int() }),
    created_at: Timestamp,
  })
  .meta({ id: "DatasetVersion" });
export type DatasetVersion = z.infer<typeof DatasetVersion>;

export const Dataset = z
  .object({
    id: z.int(),
    project_id: z.int(),
    name: z.string(),
    task_type: TaskType,
    /** The newest version that is READY. */
    latest_version: z.int().nullable(),
    created_at: Timestamp,
  })
  .meta({ id: "Dataset" });
export type Dataset = z.infer<typeof Dataset>;

export const Upload = z
  .object({
    upload_id: z.string(),
    method: z.enum(["single", "multipart"]),
    /** Bytes of each part but the last. */
    part_size: z.int(),
    urls: z.array(z.object({ part_number: z.int(), url: z.string() })),
    expires_at: Timestamp,
  })
  .meta({ id: "Upload", description: "PUT each part to its URL; keep the ETag of each answer for `complete`." });
export type Upload = z.infer<typeof Upload>;

const tag = "datasets";
const params = z.object({ dataset_id: Id });

export const createDataset = operation({
  id: "createDataset",
  method: "post",
  path: "/api/v1/datasets",
  access: "user",
  tag,
  summary: "Make a dataset, still without a version",
  body: z.object({ project_id: IdNumber, name: z.string().trim().min(1).max(120), task_type: TaskType }),
  status: 201,
  response: Dataset,
  idempotent: true,
  problems: [403, 404, 409],
});
export const listDatasets = operation({
  id: "listDatasets",
  method: "get",
  path: "/api/v1/datasets",
  access: "user",
  tag,
  summary: "Datasets of your projects",
  query: PageQuery.extend({ project_id: Id.optional() }),
  status: 200,
  response: pageOf(Dataset),
  problems: [403, 404],
});
export const getDataset = operation({
  id: "getDataset",
  method: "get",
  path: "/api/v1/datasets/{dataset_id}",
  access: "user",
  tag,
  summary: "One dataset with its versions, newest first",
  params,
  status: 200,
  response: Dataset.extend({ versions: z.array(DatasetVersion) }),
  problems: [403, 404],
});
export const createUpload = operation({
  id: "createUpload",
  method: "post",
  path: "/api/v1/datasets/{dataset_id}/uploads",
  access: "user",
  tag,
  summary: "Presigned URLs for one zip file; in parts above 64 MiB",
  params,
  body: z.object({
    filename: z
      .string()
      .min(1)
      .max(200)
      .regex(/^[ -.0-[\]-~\u00a0-\uffff]+\.[zZ][iI][pP]$/, "the name of a .zip file, without a path"),
    bytes: z
      .int()
      .min(22, "smaller than an empty zip")
      .max(50 * 1024 ** 3),
  }),
  status: 201,
  response: Upload,
  problems: [403, 404],
});
export const completeUpload = operation({
  id: "completeUpload",
  method: "post",
  path: "/api/v1/datasets/{dataset_id}/uploads/{upload_id}/complete",
  access: "user",
  tag,
  summary: "Close the upload and start the ingest job that checks it",
  params: params.extend({ upload_id: z.string().max(60) }),
  body: z.object({
    parts: z
      .array(z.object({ part_number: z.int().min(1), etag: z.string().max(200) }))
      .max(10_000)
      .optional(),
    /** Leave broken files out (each becomes a warning) instead of refusing the version. */
    skip_bad_files: z.boolean().default(false),
    /** Share of the samples that go to `val` when the zip has no splits. */
    val_fraction: z.number().min(0.01).max(0.9).default(0.2),
    seed: z.int().min(0).max(2_147_483_647).default(0),
    format: z.enum(SOURCE_FORMATS).default("auto"),
  }),
  status: 202,
  response: z.object({ dataset_id: z.int(), version: z.int(), job_id: z.int() }),
  problems: [403, 404, 409],
});
