/** The trainer's environment as a worker builds it (services/worker/src/supervision/environment.ts), from nothing. */
import type { JobKind } from "@vision-platform/contracts/job-state";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import type { Servers } from "../platform/servers.ts";
import type { TaskSettings, TrainerFolder } from "../trainer-folder.ts";
import type { Sandbox } from "./sandbox.ts";

/** undefined takes a variable away. */
export type Changes = Record<string, string | undefined>;

export interface Job {
  kind: JobKind;
  task: TaskType;
  job_id: number;
  attempt: number;
  dataset_uri: string;
  output_uri: string;
}

export const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
/** Every process of a run inherits it. */
export const MARKER_VARIABLE = "VP_CONFORMANCE_RUN";

/** What a training is told, and a job that derives something of it. */
export function trainingVariables(kind: JobKind, settings: TaskSettings): Changes {
  const training = kind === "train";
  return {
    MODEL_NAME: settings.model,
    CONFIG_JSON: JSON.stringify(training ? settings.config : {}),
    EPOCHS: training ? String(settings.epochs) : undefined,
    BATCH_SIZE: String(settings.batch_size),
    LEARNING_RATE: training ? String(settings.learning_rate) : undefined,
  };
}

export function jobEnvironment(options: {
  trainer: TrainerFolder;
  /** What this kind of job is told besides. */
  work: Changes;
  job: Job;
  sandbox: Sandbox;
  s3: Servers["s3"];
  doors: Changes;
  marker: string;
  changes: Changes;
  /** Other names for some of the variables. */
  renamed: Record<string, string>;
}): Record<string, string> {
  const { trainer, job, sandbox, s3 } = options;
  const all: Changes = {
    PATH: [trainer.bin, "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
    LANG: "C.UTF-8",
    HOME: sandbox.home,
    TMPDIR: sandbox.tmp,
    CACHE_DIR: sandbox.cache,
    STOP_REASON_FILE: sandbox.stopReasonFile,
    PYTHONUNBUFFERED: "1",
    CONTRACT_VERSION: "1",
    JOB_ID: String(job.job_id),
    ATTEMPT: String(job.attempt),
    TRACE_ID,
    TRACEPARENT: `00-${TRACE_ID}-b7ad6b7169203331-01`,
    JOB_KIND: job.kind,
    FRAMEWORK: trainer.manifest.framework,
    TASK_TYPE: job.task,
    DATASET_ID: "1",
    DATASET_VERSION: "1",
    DATASET_URI: job.dataset_uri,
    OUTPUT_URI: job.output_uri,
    SEED: "1",
    DEVICE: "cpu",
    NUM_WORKERS: "0",
    HEARTBEAT_S: "1",
    GRACE_S: "30",
    MAX_RUNTIME_S: "600",
    CHECKPOINT_EVERY_S: "300",
    ALLOW_NETWORK: "0",
    BACKEND_BASE_URL: "http://127.0.0.1:9",
    CALLBACK_URL: "http://127.0.0.1:9",
    STORAGE_TYPE: "minio",
    STORAGE_BUCKET: s3.bucket,
    S3_REGION: "us-east-1",
    S3_FORCE_PATH_STYLE: "true",
    S3_ENDPOINT: s3.endpoint,
    S3_ACCESS_KEY_ID: s3.accessKeyId,
    S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
    [MARKER_VARIABLE]: options.marker,
    ...options.work,
    ...options.doors,
    ...options.changes,
  };
  const present = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(present.map(([name, value]) => [options.renamed[name] ?? name, value]));
}
