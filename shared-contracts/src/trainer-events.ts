/** What a trainer says: one JSON object each, at most 16 KiB (contract.md, "Out: events"). */
import { z } from "zod";
import { FailureCode } from "./failure-codes.ts";
import { Phase } from "./job-state.ts";

export const MAX_EVENT_BYTES = 16 * 1024;

/** A metric's value; null stands for a number that is not finite (JSON has no NaN). */
export const MetricValue = z.number().nullable();
export const MetricValues = z.record(z.string().max(120), MetricValue);

/** `s3://<bucket>/<key>` */
export const S3Uri = z.string().regex(/^s3:\/\//, "an s3:// address");

export const Artifact = z
  .object({
    name: z.string().min(1).max(200),
    uri: S3Uri,
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: z.int().min(0),
    media_type: z.string().max(120),
  })
  .meta({ id: "Artifact", description: "A file that a job leaves in the storage." });
export type Artifact = z.infer<typeof Artifact>;

const base = { v: z.literal(1), ts: z.iso.datetime(), src_seq: z.int().min(1) };
const count = z.int().min(0);

function event<Type extends string, Data extends z.ZodRawShape>(type: Type, name: string, data: Data) {
  const payload = z.object(data).meta({ id: name.replace("Event", "Data") });
  return z.object({ ...base, type: z.literal(type), data: payload }).meta({ id: name });
}

export const StartedEvent = event("started", "StartedEvent", {
  versions: z.record(z.string(), z.string()),
  device: z.string(),
  world_size: z.int().min(1),
  effective_batch_size: z.int().min(0),
});
export const PhaseEvent = event("phase", "PhaseEvent", {
  name: Phase,
  pct: z.number().min(0).max(100).nullable().optional(),
  /** What is waited for, for people: an image that is pulled, a pod that finds no node. */
  detail: z.string().max(500).optional(),
});
export const ProgressEvent = event("progress", "ProgressEvent", {
  epoch: count,
  epochs: count,
  step: count,
  steps: count,
  pct: z.number().min(0).max(100),
  eta_s: z.number().min(0).nullable(),
  samples_per_s: z.number().min(0).nullable(),
});
export const MetricsEvent = event("metrics", "MetricsEvent", {
  scope: z.enum(["step", "epoch"]),
  split: z.enum(["train", "val", "test"]),
  epoch: count,
  step: count,
  values: MetricValues,
});
export const LogEvent = event("log", "LogEvent", {
  level: z.enum(["debug", "info", "warning", "error"]),
  message: z.string().max(8000),
  /** Of the trainer's output: the bytes up to the end of these lines. */
  offset: count.optional(),
});
export const CheckpointEvent = event("checkpoint", "CheckpointEvent", {
  kind: z.enum(["last", "best", "periodic"]),
  uri: S3Uri,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: count,
  epoch: count,
  step: count,
  metrics: MetricValues,
});
export const SampleEvent = event("sample", "SampleEvent", {
  epoch: count,
  step: count.optional(),
  /** The dataset's sample. */
  sample_id: z.string().max(300).optional(),
  /** A small image with the prediction drawn on it. */
  image_uri: S3Uri,
  prediction: z.string().max(2000),
  truth: z.string().max(2000).optional(),
});
export const WarningEvent = event("warning", "WarningEvent", {
  code: z.string().regex(/^[a-z][a-z0-9_]*$/),
  message: z.string().max(2000).optional(),
});
export const HeartbeatEvent = event("heartbeat", "HeartbeatEvent", {
  rss_bytes: count,
  gpu_mem_bytes: count.nullable().optional(),
  gpu_util: z.number().min(0).max(100).nullable().optional(),
});
export const SucceededEvent = event("succeeded", "SucceededEvent", {
  metrics: MetricValues,
  artifacts: z.array(Artifact),
});
export const FailedEvent = event("failed", "FailedEvent", {
  code: FailureCode,
  message: z.string().max(4000),
  retryable: z.boolean(),
  trace_tail: z.string().max(6000).optional(),
});
export const StoppedEvent = event("stopped", "StoppedEvent", {
  reason: z.enum(["cancelled", "preempted", "timeout"]),
  resume_uri: S3Uri.nullable(),
});

export const TrainerEvent = z
  .discriminatedUnion("type", [
    StartedEvent,
    PhaseEvent,
    ProgressEvent,
    MetricsEvent,
    LogEvent,
    CheckpointEvent,
    SampleEvent,
    WarningEvent,
    HeartbeatEvent,
    SucceededEvent,
    FailedEvent,
    StoppedEvent,
  ])
  .meta({ id: "TrainerEvent", description: "One event of a trainer; src_seq counts 1, 2, 3… per attempt." });
export type TrainerEvent = z.infer<typeof TrainerEvent>;

/** What every event must have to be counted and ordered, also when its type is unknown to this reader. */
export const TrainerEventHead = z.looseObject({ ...base, type: z.string().min(1).max(60), data: z.looseObject({}) });
export type TrainerEventHead = z.infer<typeof TrainerEventHead>;

export const TERMINAL_EVENT_TYPES = ["succeeded", "failed", "stopped"] as const;

/** Kept for ever and numbered by `seq`; a heartbeat only refreshes the attempt's row. */
export function isDurable(type: string): boolean {
  return type !== "heartbeat";
}
