import { z } from "zod";
import { Failure } from "../failure-codes.ts";
import { JobEvent } from "../job-events.ts";
import { AttemptOutcome, JobKind, JobState } from "../job-state.ts";
import { TaskType } from "../storage-manifests.ts";
import { Artifact, MetricValue, MetricValues } from "../trainer-events.ts";
import { FrameworkName } from "../trainer-manifest.ts";
import { Id, IdNumber, operation, PageQuery, pageOf, Timestamp } from "./operation.ts";

/** The newest figures of a job, for a line on a screen. */
export const JobProgress = z
  .object({
    epoch: z.int(),
    epochs: z.int(),
    step: z.int(),
    steps: z.int(),
    pct: z.number(),
    eta_s: z.number().nullable(),
    samples_per_s: z.number().nullable(),
    loss: MetricValue,
    /** The task's primary metric, for classification val/top1. */
    accuracy: MetricValue,
  })
  .partial()
  .meta({ id: "JobProgress" });
export type JobProgress = z.infer<typeof JobProgress>;

export const Attempt = z
  .object({
    attempt: z.int(),
    worker_id: z.string().nullable(),
    outcome: AttemptOutcome.nullable(),
    exit_code: z.int().nullable(),
    failure: Failure.nullable(),
    started_at: Timestamp.nullable(),
    finished_at: Timestamp.nullable(),
  })
  .meta({ id: "Attempt" });

const spec = {
  framework: FrameworkName,
  model_name: z.string().min(1).max(120),
  task_type: TaskType,
  dataset_id: IdNumber,
  epochs: z.int().min(1).max(100_000),
  /** Images per step over all GPUs of the job. */
  batch_size: z.int().min(1).max(65_536),
  learning_rate: z.number().gt(0).max(1000),
};
const labels = {
  name: z.string().trim().min(1).max(200).optional(),
  notes: z.string().max(20_000).optional(),
  tags: z.array(z.string().trim().min(1).max(60)).max(50).optional(),
};

export const Job = z
  .object({
    id: z.int(),
    project_id: z.int(),
    kind: JobKind,
    name: z.string(),
    notes: z.string(),
    tags: z.array(z.string()),
    state: JobState,
    phase: z.string().nullable(),
    /** Why a QUEUED job waits, or a RUNNING one whose trainer does not run yet (an image is pulled, no node is free). */
    waiting_reason: z.string().nullable(),
    /** How many jobs of its framework go first. */
    queue_position: z.int().nullable(),
    cancel_requested: z.boolean(),
    framework: z.string(),
    model_name: z.string(),
    task_type: TaskType,
    dataset_id: z.int(),
    dataset_version: z.int(),
    epochs: z.int(),
    batch_size: z.int(),
    learning_rate: z.number(),
    seed: z.int(),
    /** GPUs of one host; a host without GPUs trains on its processor when this is 1. */
    gpus: z.int(),
    /** Memory that each of its GPUs must have, in GiB; null when any will do. */
    min_vram_gb: z.number().nullable(),
    config: z.record(z.string(), z.unknown()),
    /** What says how good the model is, from the framework's manifest, and whether more or less of it is better. */
    primary_metric: z.object({ name: z.string(), direction: z.enum(["max", "min"]) }).nullable(),
    /** The training whose model an evaluate, predict or export job uses. */
    source_job_id: z.int().nullable(),
    /** Which of its checkpoints. */
    checkpoint: z.enum(["best", "last"]).nullable(),
    attempt: z.int(),
    attempts: z.array(Attempt),
    /** Number of the newest event. */
    last_seq: z.int(),
    progress: JobProgress,
    metrics: MetricValues,
    failure: Failure.nullable(),
    /** Its run in MLflow; null where there is none (yet). */
    mlflow_run_id: z.string().nullable(),
    trace_id: z.string(),
    created_by: z.int(),
    created_at: Timestamp,
    queued_at: Timestamp.nullable(),
    started_at: Timestamp.nullable(),
    finished_at: Timestamp.nullable(),
  })
  .meta({ id: "Job" });
export type Job = z.infer<typeof Job>;

const tag = "training jobs";
const params = z.object({ job_id: Id });
const path = "/api/v1/training/jobs";

export const createJob = operation({
  id: "createJob",
  method: "post",
  path,
  access: "user",
  tag,
  summary: "Describe a training job; `start: true` queues it at once",
  body: z.object({
    project_id: IdNumber,
    ...labels,
    ...spec,
    /** Default: the newest version that is READY. */
    dataset_version: IdNumber.optional(),
    seed: z.int().min(0).max(2_147_483_647).default(0),
    gpus: z.int().min(1).max(64).default(1),
    /** Memory that each GPU must have, in GiB; with it the job waits for a host with such GPUs. */
    min_vram_gb: z.number().gt(0).max(1024).optional(),
    /** Checked by the framework's own JSON Schema (see getModel). */
    config: z.record(z.string(), z.unknown()).default({}),
    start: z.boolean().default(false),
  }),
  status: 201,
  response: Job,
  idempotent: true,
  problems: [400, 403, 404],
});
export const createDerivedJob = operation({
  id: "createDerivedJob",
  method: "post",
  path: `${path}/{job_id}/derived`,
  access: "user",
  tag,
  summary: "Evaluate, predict with or export the model of a training",
  params,
  body: z.object({
    kind: z.enum(["evaluate", "predict", "export"]),
    ...labels,
    /** Which checkpoint of the training: its best by the primary metric, or its newest. */
    checkpoint: z.enum(["best", "last"]).default("best"),
    /** Default: the training's own dataset and version. Another one must be of the same task. */
    dataset_id: IdNumber.optional(),
    dataset_version: IdNumber.optional(),
    /** predict: single images instead of a dataset (createImageUploads). */
    images: z.array(z.string().max(100)).min(1).max(100).optional(),
    batch_size: z.int().min(1).max(65_536).default(16),
    /** Checked by the framework's own JSON Schema for this kind. */
    config: z.record(z.string(), z.unknown()).default({}),
    start: z.boolean().default(true),
  }),
  status: 201,
  response: Job,
  idempotent: true,
  problems: [403, 404, 409],
});
export const createImageUploads = operation({
  id: "createImageUploads",
  method: "post",
  path: `${path}/{job_id}/images`,
  access: "user",
  tag,
  summary: "Presigned URLs for single images that a predict job of this training shall look at",
  params,
  body: z.object({
    files: z
      .array(
        z.object({
          filename: z
            .string()
            .max(200)
            .regex(
              /^[\w][\w. -]*\.(?:[jJ][pP][eE]?[gG]|[pP][nN][gG]|[wW][eE][bB][pP]|[bB][mM][pP]|[tT][iI][fF]{1,2})$/,
              "the name of an image file (jpg, png, webp, bmp, tif), without a path",
            ),
          bytes: z
            .int()
            .min(1)
            .max(50 * 1024 ** 2),
        }),
      )
      .min(1)
      .max(100),
  }),
  status: 201,
  response: z.object({
    /** In the order asked; `image_id` is what createDerivedJob takes in `images`. */
    items: z.array(z.object({ image_id: z.string(), url: z.string() })),
    expires_at: Timestamp,
  }),
  problems: [403, 404, 409],
});
export const startJob = operation({
  id: "startJob",
  method: "post",
  path: `${path}/{job_id}/start`,
  access: "user",
  tag,
  summary: "Queue a PENDING job",
  params,
  status: 200,
  response: z.object({ message: z.literal("Training started"), job_id: z.int() }),
  idempotent: true,
  problems: [400, 403, 404],
});
export const cancelJob = operation({
  id: "cancelJob",
  method: "post",
  path: `${path}/{job_id}/cancel`,
  access: "user",
  tag,
  summary: "Cancel a job; a running one saves a checkpoint first",
  params,
  status: 200,
  response: Job,
  problems: [400, 403, 404],
});
export const getJob = operation({
  id: "getJob",
  method: "get",
  path: `${path}/{job_id}`,
  access: "user",
  tag,
  summary: "One job",
  params,
  status: 200,
  response: Job,
  problems: [403, 404],
});
export const listJobs = operation({
  id: "listJobs",
  method: "get",
  path,
  access: "user",
  tag,
  summary: "Jobs of your projects",
  query: PageQuery.extend({
    project_id: Id.optional(),
    kind: JobKind.optional(),
    state: JobState.optional(),
    framework: FrameworkName.optional(),
    model_name: z.string().max(120).optional(),
    dataset_id: Id.optional(),
    /** Evaluations, predictions and exports of this training. */
    source_job_id: Id.optional(),
    tag: z.string().max(60).optional(),
    /** Newest first by default; `-` in front of a name reverses it. */
    sort: z.enum(["-created_at", "created_at", "name", "-name"]).default("-created_at"),
  }),
  status: 200,
  response: pageOf(Job),
  problems: [403, 404],
});
export const updateJob = operation({
  id: "updateJob",
  method: "patch",
  path: `${path}/{job_id}`,
  access: "user",
  tag,
  summary: "Change a job's name, notes or tags",
  params,
  body: z.object(labels).refine((body) => Object.keys(body).length > 0, "give name, notes or tags"),
  status: 200,
  response: Job,
  problems: [403, 404],
});

const after = { after: z.coerce.number().int().min(0).default(0) };
export const listJobEvents = operation({
  id: "listJobEvents",
  method: "get",
  path: `${path}/{job_id}/events`,
  access: "user",
  tag,
  summary: "Committed events with seq > after, in order",
  params,
  query: z.object({
    ...after,
    limit: z.coerce.number().int().min(1).max(1000).default(500),
    type: z.string().max(60).optional(),
  }),
  status: 200,
  response: z.object({ items: z.array(JobEvent), head: z.int() }),
  problems: [403, 404],
});
export const streamJobEvents = operation({
  id: "streamJobEvents",
  method: "get",
  path: `${path}/{job_id}/stream`,
  access: "user",
  tag,
  summary: "The same as server-sent events, live; resumes by Last-Event-ID",
  params,
  query: z.object({ after: z.coerce.number().int().min(0).optional() }),
  status: 200,
  response: JobEvent,
  stream: true,
  problems: [403, 404],
});

export const MetricPoint = z
  .object({
    seq: z.int(),
    ts: Timestamp,
    attempt: z.int(),
    scope: z.enum(["step", "epoch"]),
    epoch: z.int(),
    step: z.int(),
    value: MetricValue,
  })
  .meta({ id: "MetricPoint" });
export const listJobMetrics = operation({
  id: "listJobMetrics",
  method: "get",
  path: `${path}/{job_id}/metrics`,
  access: "user",
  tag,
  summary: "Learning curves: a series for each metric",
  params,
  query: z.object({
    ...after,
    scope: z.enum(["step", "epoch"]).optional(),
    name: z.string().max(120).optional(),
    /** At most so many points a series; the newest is always among them. */
    max_points: z.coerce.number().int().min(2).max(10_000).default(1000),
  }),
  status: 200,
  response: z.object({ series: z.record(z.string(), z.array(MetricPoint)), head: z.int() }),
  problems: [403, 404],
});
export const LogLine = z
  .object({ seq: z.int(), ts: Timestamp, attempt: z.int(), level: z.string(), message: z.string() })
  .meta({ id: "LogLine" });
export const listJobLogs = operation({
  id: "listJobLogs",
  method: "get",
  path: `${path}/{job_id}/logs`,
  access: "user",
  tag,
  summary: "Log lines, and a download of each ended attempt's whole log",
  params,
  query: z.object({ ...after, limit: z.coerce.number().int().min(1).max(1000).default(500) }),
  status: 200,
  response: z.object({
    items: z.array(LogLine),
    head: z.int(),
    files: z.array(z.object({ attempt: z.int(), bytes: z.int(), url: z.string() })),
  }),
  problems: [403, 404],
});
export const listJobArtifacts = operation({
  id: "listJobArtifacts",
  method: "get",
  path: `${path}/{job_id}/artifacts`,
  access: "user",
  tag,
  summary: "What the job left, with presigned downloads",
  params,
  status: 200,
  response: z.object({ items: z.array(Artifact.extend({ url: z.string(), expires_at: Timestamp })) }),
  problems: [403, 404],
});
