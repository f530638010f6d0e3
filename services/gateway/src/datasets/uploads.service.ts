/** Uploads: presigned URLs, then one ingest job for each completed file. */
import { randomUUID } from "node:crypto";
import { conflict, invalid, notFound } from "@vision-platform/common/app-error";
import type { Trace } from "@vision-platform/common/trace";
import type { completeUpload, createUpload, Upload } from "@vision-platform/contracts/api/datasets";
import type { BodyOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import { s3Uri, uploadKey } from "@vision-platform/contracts/names";
import type { Db } from "../db/db.ts";
import { type Announcements, nothingSaid } from "../events/announcements.ts";
import type { Gateway } from "../gateway.ts";
import type { Principal } from "../http/access.ts";
import { createIngestJob } from "../jobs/ingest-job.ts";
import { type DatasetRow, insertVersion, takeNextVersion } from "./datasets.repository.ts";
import { requireDataset } from "./datasets.service.ts";
import {
  beginMultipart,
  finishMultipart,
  presignParts,
  presignPut,
  removeUploaded,
  type StoredFile,
  storedSize,
} from "./upload-storage.ts";
import {
  abandonedUploads,
  completedJob,
  deleteAbandoned,
  insertUpload,
  lockUpload,
  markCompleted,
  type UploadRow,
  uploadOf,
} from "./uploads.repository.ts";

/** Bytes. Above this a file comes in parts of this size, so that a broken connection costs at most one of them. */
const PART_SIZE = 64 * 1024 ** 2;
const VALID_HOURS = 24;
const ABANDONED_AT_ONCE = 100;

type CompleteBody = BodyOf<typeof completeUpload>;
type Completed = ResponseOf<typeof completeUpload>;

function fileOf(gateway: Gateway, upload: { id: string; filename: string }): StoredFile {
  return { Bucket: gateway.config.STORAGE_BUCKET, Key: uploadKey(upload.id, upload.filename) };
}

/** Presigned URLs for one file of exactly `bytes`. Rejects like requireDataset. */
export async function beginUpload(
  gateway: Gateway,
  user: Principal,
  dataset_id: number,
  body: BodyOf<typeof createUpload>,
): Promise<Upload> {
  await requireDataset(gateway.db, user, dataset_id, "editor");
  const id = randomUUID();
  const file = fileOf(gateway, { id, filename: body.filename });
  const multipart_id = body.bytes > PART_SIZE ? await beginMultipart(gateway.s3, file) : null;
  const row = await insertUpload(gateway.db, { id, dataset_id, ...body, multipart_id, hours: VALID_HOURS });
  const seconds = VALID_HOURS * 3600;
  const urls =
    multipart_id === null
      ? [{ part_number: 1, url: await presignPut(gateway.publicS3, file, seconds) }]
      : await presignParts(gateway.publicS3, file, multipart_id, Math.ceil(body.bytes / PART_SIZE), seconds);
  return {
    upload_id: id,
    method: multipart_id === null ? "single" : "multipart",
    part_size: multipart_id === null ? body.bytes : PART_SIZE,
    urls,
    expires_at: row.expires_at.toISOString(),
  };
}

/** 409 unless the whole file lies in the storage. */
async function requireFile(gateway: Gateway, upload: UploadRow, body: CompleteBody): Promise<void> {
  const file = fileOf(gateway, upload);
  if (upload.multipart_id !== null) {
    if (!body.parts?.length) throw invalid([{ pointer: "/parts", detail: "required: the ETag of each part" }]);
    await finishMultipart(gateway.s3, file, upload.multipart_id, body.parts);
  }
  const size = await storedSize(gateway.s3, file);
  if (size === undefined) throw conflict("The file has not arrived in the storage", "upload_missing");
  if (size !== upload.bytes)
    throw conflict(`The file has ${size} bytes; ${upload.bytes} were announced`, "upload_size_differs");
}

/** The same answer as the first time. 409 when the settings are other ones. */
async function completedBefore(db: Db, upload: UploadRow, version: number, body: CompleteBody): Promise<Completed> {
  const job = await completedJob(db, upload.dataset_id, version);
  const same =
    job.seed === body.seed &&
    job.config.skip_bad_files === body.skip_bad_files &&
    job.config.val_fraction === body.val_fraction &&
    (job.config.format ?? "auto") === body.format;
  if (!same) throw conflict(`The upload was completed with other settings, as version ${version}`, "upload_completed");
  return { dataset_id: upload.dataset_id, version, job_id: job.job_id };
}

interface Completion {
  user: Principal;
  dataset: DatasetRow;
  upload: UploadRow;
  file: StoredFile;
  body: CompleteBody;
  trace: Trace;
}

async function startIngest(trx: Db, completion: Completion): Promise<{ answer: Completed; said: Announcements }> {
  const { dataset, upload, file, body, trace } = completion;
  const version = await takeNextVersion(trx, dataset.id);
  const { job_id, said } = await createIngestJob(trx, {
    project_id: dataset.project_id,
    created_by: completion.user.user_id,
    dataset_id: dataset.id,
    dataset_version: version,
    task_type: dataset.task_type,
    filename: upload.filename,
    source_uri: s3Uri(file.Bucket, file.Key),
    skip_bad_files: body.skip_bad_files,
    val_fraction: body.val_fraction,
    format: body.format,
    seed: body.seed,
    trace,
  });
  await insertVersion(trx, { dataset_id: dataset.id, version, job_id, filename: upload.filename });
  await markCompleted(trx, upload.id, version);
  return { answer: { dataset_id: dataset.id, version, job_id }, said };
}

/**
 * Closes an upload and starts the ingest job of the new version; a second time it answers the same and starts nothing.
 * Rejects: 404 and 403 as for datasets, 409 not arrived, expired or completed otherwise.
 */
export async function finishUpload(
  gateway: Gateway,
  user: Principal,
  params: { dataset_id: number; upload_id: string },
  body: CompleteBody,
  trace: Trace,
): Promise<Completed> {
  const expired = () => conflict("The upload has expired; begin a new one", "upload_expired");
  const dataset = await requireDataset(gateway.db, user, params.dataset_id, "editor");
  const upload = await uploadOf(gateway.db, dataset.id, params.upload_id);
  if (upload === undefined) throw notFound("Upload not found");
  if (upload.completed_version !== null)
    return await completedBefore(gateway.db, upload, upload.completed_version, body);
  if (upload.expired) throw expired();
  await requireFile(gateway, upload, body);
  const { answer, said } = await gateway.db.transaction().execute(async (trx) => {
    const locked = await lockUpload(trx, upload.id);
    if (locked === undefined) throw expired();
    if (locked.completed_version === null) {
      return await startIngest(trx, { user, dataset, upload, file: fileOf(gateway, upload), body, trace });
    }
    return { answer: await completedBefore(trx, upload, locked.completed_version, body), said: nothingSaid() };
  });
  gateway.announcer.announce(said);
  return answer;
}

/** Removes abandoned uploads: the row first, so that nobody completes what is being removed. */
export async function expireUploads(gateway: Gateway): Promise<void> {
  for (const upload of await abandonedUploads(gateway.db, ABANDONED_AT_ONCE)) {
    if (await deleteAbandoned(gateway.db, upload.id)) {
      await removeUploaded(gateway.s3, fileOf(gateway, upload), upload.multipart_id);
    }
  }
}
