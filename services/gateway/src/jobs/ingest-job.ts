/** The job that turns an upload into a dataset version. */
import type { Trace } from "@vision-platform/common/trace";
import type { SOURCE_FORMATS } from "@vision-platform/contracts/api/datasets";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import type { Db } from "../db/db.ts";
import { type Announcements, nothingSaid } from "../events/announcements.ts";
import { dispatchOf } from "./jobs.service.ts";
import { insertJob } from "./transition.repository.ts";

export interface IngestJobInput {
  project_id: number;
  created_by: number;
  dataset_id: number;
  /** The version that the job makes. */
  dataset_version: number;
  task_type: TaskType;
  filename: string;
  /** s3:// address of the uploaded zip. */
  source_uri: string;
  skip_bad_files: boolean;
  val_fraction: number;
  /** How the upload is laid out; `auto` finds out. */
  format: (typeof SOURCE_FORMATS)[number];
  /** Of the split, where the upload has none. */
  seed: number;
  trace: Trace;
}

/** The framework whose worker opens uploads. */
const INGEST_FRAMEWORK = "dataset";

/** Inserts the job, QUEUED with attempt 1, in the caller's transaction; the caller announces `said` after its commit. */
export async function createIngestJob(db: Db, input: IngestJobInput): Promise<{ job_id: number; said: Announcements }> {
  const { project_id, created_by, dataset_id, dataset_version, task_type, filename, seed, trace } = input;
  const { source_uri, skip_bad_files, val_fraction, format } = input;
  const spec = {
    ...{ project_id, created_by, dataset_id, dataset_version, task_type, seed },
    ...trace,
    kind: "ingest" as const,
    name: `Check of ${filename}`.slice(0, 200),
    framework: INGEST_FRAMEWORK,
    model_name: "image_folder",
    // Columns of every job that mean nothing for this kind.
    ...{ epochs: 1, batch_size: 1, learning_rate: 1 },
    config: { source_uri, filename, skip_bad_files, val_fraction, format },
  };
  const { job, events } = await insertJob(db, spec, true);
  return { job_id: job.id, said: { ...nothingSaid(), events, dispatch: [dispatchOf(job)] } };
}
