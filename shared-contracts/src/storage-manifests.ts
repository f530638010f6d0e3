/** The JSON files that say what lies in the storage: dataset versions, checkpoints, results. */
import { z } from "zod";
import { JobKind } from "./job-state.ts";
import { Artifact, MetricValue, MetricValues, S3Uri } from "./trainer-events.ts";

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
    /** Per split and class, in the order of `classes`: samples (classification), objects, or samples that show the class. */
    class_counts: z.record(z.string(), z.array(z.int().min(0))),
    shards: z.array(DatasetShard),
    samples: z.object({ name: z.string(), bytes, sha256: Sha256, count: z.int().min(0) }),
    source_format: z.string(),
    statistics: z.record(z.string(), z.unknown()),
    /** Pose estimation only: what each key point is, which one it becomes in a mirror image, which ones a line joins. */
    keypoints: z
      .object({
        names: z.array(z.string()).min(1).max(200),
        flip_indices: z.array(z.number()).max(200),
        skeleton: z.array(z.tuple([z.number(), z.number()])).max(400),
      })
      .optional(),
  })
  .meta({ id: "DatasetManifest", description: "MANIFEST.json of a dataset version; written last." });
export type DatasetManifest = z.infer<typeof DatasetManifest>;

// Items of lists carry no limits of their own: the generated Python would wrap every single number in a class.

/** x, y, width, height in pixels of the upright image; x and y are the top left corner. */
export const Box = z.tuple([z.number(), z.number(), z.number(), z.number()]);
/** x, y in pixels of the upright image; visibility as in COCO: 0 not labelled, 1 hidden, 2 visible. */
export const Keypoint = z.tuple([z.number(), z.number(), z.number()]);
/** COCO's run lengths: column by column, starting with background. `counts` is COCO's compressed text. */
export const RunLengthMask = z
  .object({ size: z.tuple([z.number(), z.number()]), counts: z.string() })
  .meta({ id: "RunLengthMask" });

/** One list of objects, so that boxes, masks and key points can never differ in number. */
export const SampleObject = z
  .object({
    category: z.int().min(0),
    box: Box,
    /** A crowd is not trained on, and predictions in it are not counted as wrong (COCO's iscrowd). */
    crowd: z.boolean().optional(),
    /** Outlines of three points or more: x1, y1, x2, y2, … in pixels; an object in several pieces has several. */
    polygons: z.array(z.array(z.number())).optional(),
    rle: RunLengthMask.optional(),
    keypoints: z.array(Keypoint).optional(),
  })
  .meta({ id: "SampleObject" });
export type SampleObject = z.infer<typeof SampleObject>;

export const DatasetSample = z
  .object({
    id: z.string(),
    split: z.string(),
    shard: z.string(),
    member: z.string(),
    /** Byte position of the file's content in the shard, and its length. */
    offset: z.int().min(0),
    bytes,
    /** In pixels of the upright image, EXIF orientation applied, as are all coordinates. */
    width: z.int().min(1),
    height: z.int().min(1),
    sha256: Sha256,
    /** image_classification */
    label: z.int().min(0).optional(),
    /** object_detection, instance_segmentation (with polygons or rle), pose_estimation (with keypoints); may be empty. */
    objects: z.array(SampleObject).max(5000).optional(),
    /** semantic_segmentation: an 8-bit PNG of class indices in the same shard, as large as the image; 255 is ignored. */
    mask: z.object({ member: z.string(), offset: z.int().min(0), bytes, sha256: Sha256 }).optional(),
    /** image_captioning */
    captions: z.array(z.string()).min(1).max(50).optional(),
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
    /** What the trainer needs to build the model again, for evaluate, predict and export (MODEL_URI). */
    model: z.looseObject({ framework: z.string(), model_name: z.string(), task_type: TaskType }).optional(),
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
export type CheckpointPointer = z.infer<typeof CheckpointPointer>;

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

const Score = z.number().min(0).max(1);

/** What a model says about one image; the fields that belong to its task. One line of predictions.jsonl. */
export const Prediction = z
  .object({
    /** A dataset's sample id, or the s3:// address of the image that was given. */
    image: z.string(),
    width: z.int().min(1),
    height: z.int().min(1),
    /** image_classification: most likely first, at most five. */
    labels: z.array(z.object({ category: z.int().min(0), name: z.string(), score: Score })).optional(),
    /** object_detection, instance_segmentation, pose_estimation: surest first. Key points are x, y, score. */
    objects: z
      .array(
        z.object({
          category: z.int().min(0),
          name: z.string(),
          score: Score,
          box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
          rle: RunLengthMask.optional(),
          keypoints: z.array(z.tuple([z.number(), z.number(), z.number()])).optional(),
        }),
      )
      .optional(),
    /** semantic_segmentation: the artifact with class indices as an 8-bit PNG, and each class's share of the pixels. */
    mask: z.object({ artifact: z.string(), shares: z.record(z.string(), z.number()) }).optional(),
    /** image_captioning */
    caption: z.string().optional(),
    /** The artifact that shows the prediction drawn on the image; only the first ones have one. */
    overlay: z.string().optional(),
  })
  .meta({ id: "Prediction" });
export type Prediction = z.infer<typeof Prediction>;

/** evaluation.json: what a model is worth on a split. */
export const EvaluationReport = z
  .object({
    v: z.literal(1),
    task_type: TaskType,
    split: z.string(),
    samples: z.int().min(0),
    metrics: MetricValues,
    classes: z.array(z.string()),
    per_class: z.array(z.object({ name: z.string(), support: z.int().min(0), metrics: MetricValues })),
    /** `matrix[truth][prediction]` counts samples (classification) or pixels (segmentation). */
    confusion_matrix: z.array(z.array(z.number())).optional(),
    /** Detection, masks, pose: precision at each recall, per class, at one threshold of overlap. */
    pr_curves: z
      .array(
        z.object({
          name: z.string(),
          threshold: z.number(),
          recall: z.array(z.number()),
          precision: z.array(MetricValue),
        }),
      )
      .optional(),
    /** The samples the model does worst on, worst first: `score` by the task's own measure, lower is worse. */
    worst: z.array(
      z.object({
        image: z.string(),
        score: MetricValue,
        prediction: z.string().max(2000),
        truth: z.string().max(2000),
        overlay: z.string().optional(),
      }),
    ),
  })
  .meta({ id: "EvaluationReport" });
export type EvaluationReport = z.infer<typeof EvaluationReport>;

/** export.json: the exported model, run again by another engine and compared with the original. */
export const ExportReport = z
  .object({
    v: z.literal(1),
    format: z.string(),
    artifact: z.string(),
    engine: z.string(),
    opset: z.int().optional(),
    inputs: z.array(
      z.object({ name: z.string(), shape: z.array(z.union([z.number(), z.string()])), type: z.string() }),
    ),
    outputs: z.array(
      z.object({ name: z.string(), shape: z.array(z.union([z.number(), z.string()])), type: z.string() }),
    ),
    /** How pixels become the input: size, mean, std, channel order, scale. */
    preprocessing: z.record(z.string(), z.unknown()),
    classes: z.array(z.string()),
    parity: z.object({
      samples: z.int().min(1),
      /** Largest difference of any output value, and the tolerance it was judged by. */
      max_abs_diff: z.number(),
      tolerance: z.number(),
      metric: z.string(),
      metric_original: MetricValue,
      metric_exported: MetricValue,
      metric_diff: MetricValue,
    }),
  })
  .meta({ id: "ExportReport" });
export type ExportReport = z.infer<typeof ExportReport>;
