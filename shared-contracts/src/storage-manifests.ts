/** The JSON files that say what lies in the storage: dataset versions, checkpoints, results. */
import { z } from "zod";
import { JobKind } from "./job-state.ts";
import { Artifact, MetricValues, S3Uri } from "./trainer-events.ts";

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const bytes = z.int().min(0);

export const TASK_TYPES = [
  "image_classification",
  "object_detection",
  "instance_segmentation",
  "semantic_segmentation",
  "pose_estimation",
  "image_captioning",
] as const;
export const TaskType = z.enum(TASK_TYPES);
export type TaskType = z.infer<typeof TaskType>;

export const DatasetShard = z
  .object({ name: z.string(), split: z.string(), samples: z.int().min(0), bytes, sha256: Sha256 })
  .meta({ id: "DatasetShard" });

export const DatasetManifest = z
  .object({
    v: z.literal(1),
    dataset_id: z.int().min(1),
    version: z.int().min(1),
    task_type: TaskType,
    classes: z.array(z.string()),
    /** Samples per split. */
    counts: z.record(z.string(), z.int().min(0)),
    /** Samples per split and class, in the order of `classes`. */
    class_counts: z.record(z.string(), z.array(z.int().min(0))),
    shards: z.array(DatasetShard),
    samples: z.object({ name: z.string(), bytes, sha256: Sha256, count: z.int().min(0) }),
    source_format: z.string(),
    statistics: z.record(z.string(), z.unknown()),
  })
  .meta({ id: "DatasetManifest", description: "MANIFEST.json of a dataset version; written last." });
export type DatasetManifest = z.infer<typeof DatasetManifest>;

export const DatasetSample = z
  .object({
    id: z.string(),
    split: z.string(),
    shard: z.string(),
    member: z.string(),
    /** Byte position of the file's content in the shard, and its length. */
    offset: z.int().min(0),
    bytes,
    width: z.int().min(1),
    height: z.int().min(1),
    sha256: Sha256,
    label: z.int().min(0).optional(),
  })
  .meta({ id: "DatasetSample", description: "One line of samples.jsonl.gz." });

export const CheckpointManifest = z
  .object({
    v: z.literal(1),
    job_id: z.int().min(1),
    attempt: z.int().min(1),
    epoch: z.int().min(0),
    step: z.int().min(0),
    files: z.array(z.object({ name: z.string(), bytes, sha256: Sha256 })),
    versions: z.record(z.string(), z.string()),
    config_hash: Sha256,
    classes: z.array(z.string()),
    metrics: MetricValues,
  })
  .meta({ id: "CheckpointManifest", description: "MANIFEST.json of a checkpoint folder; written last." });

export const CheckpointPointer = z
  .object({
    v: z.literal(1),
    uri: S3Uri,
    manifest_sha256: Sha256,
    epoch: z.int().min(0),
    step: z.int().min(0),
    previous: z.string().nullable(),
  })
  .meta({ id: "CheckpointPointer", description: "last.json and best.json; replaced after the folder is complete." });

export const Finding = z
  .object({
    severity: z.enum(["error", "warning"]),
    code: z.string().regex(/^[A-Z][A-Z0-9_]*$/),
    file: z.string().max(1000).nullable(),
    reason: z.string().max(1000),
  })
  .meta({ id: "Finding", description: "Something wrong with an uploaded dataset." });
export type Finding = z.infer<typeof Finding>;

export const DatasetSummary = z
  .object({
    source_format: z.string(),
    classes: z.array(z.string()),
    counts: z.record(z.string(), z.int().min(0)),
    samples: z.int().min(0),
    bytes,
  })
  .meta({ id: "DatasetSummary" });
export type DatasetSummary = z.infer<typeof DatasetSummary>;

export const TrainerResult = z
  .object({
    v: z.literal(1),
    job_id: z.int().min(1),
    attempt: z.int().min(1),
    kind: JobKind,
    status: z.enum(["succeeded", "failed"]),
    metrics: MetricValues,
    artifacts: z.array(Artifact),
    findings: z.array(Finding).max(1000).optional(),
    finding_counts: z.object({ error: z.int().min(0), warning: z.int().min(0) }).optional(),
    dataset: DatasetSummary.optional(),
  })
  .meta({ id: "TrainerResult", description: "RESULT.json; written after every artifact it names." });
export type TrainerResult = z.infer<typeof TrainerResult>;
