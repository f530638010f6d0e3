/** The trainer's environment, built from nothing: what contract.md names, and what any program needs to run. */
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { datasetPrefix, inStream, jobPrefix, s3Uri } from "@vision-platform/contracts/names";
import type { WorkerConfig } from "../config.ts";

/** Where the trainer sends its events: its own Redis stream, or the gateway's HTTP callbacks. */
export type EventDoor = { mode: "redis"; url: string } | { mode: "http" };

type Variables = Record<string, string>;
/** Left out of the trainer's environment when undefined. */
type Optional = Record<string, string | undefined>;

/** Who the attempt is and what it must do. */
function task(spec: AttemptSpec, bucket: string): Optional {
  // Only a training has epochs and a learning rate: a value that the contract forbids is not sent at all.
  const positive = (value: number) => (value > 0 ? String(value) : undefined);
  return {
    CONTRACT_VERSION: "1",
    JOB_ID: String(spec.job_id),
    ATTEMPT: String(spec.attempt),
    TRACE_ID: spec.trace_id,
    TRACEPARENT: spec.traceparent,
    JOB_KIND: spec.kind,
    FRAMEWORK: spec.framework,
    TASK_TYPE: spec.task_type,
    MODEL_NAME: spec.model_name === "" ? undefined : spec.model_name,
    DATASET_ID: String(spec.dataset_id),
    DATASET_VERSION: String(spec.dataset_version),
    DATASET_URI: s3Uri(bucket, datasetPrefix(spec.dataset_id, spec.dataset_version)),
    OUTPUT_URI: s3Uri(bucket, jobPrefix(spec.job_id)),
    RESUME_URI: spec.resume_uri ?? undefined,
    PRETRAINED_URI: spec.pretrained_uri ?? undefined,
    MODEL_URI: spec.model_uri ?? undefined,
    CONFIG_JSON: JSON.stringify(spec.config),
    EPOCHS: positive(spec.epochs),
    BATCH_SIZE: positive(spec.batch_size),
    LEARNING_RATE: positive(spec.learning_rate),
    SEED: String(spec.seed),
    NUM_PROCESSES: String(spec.gpus),
  };
}

function doors(spec: AttemptSpec, config: WorkerConfig, door: EventDoor): Optional {
  const redis = door.mode === "redis";
  const gateway = config.TRAINER_GATEWAY_URL ?? config.GATEWAY_URL;
  return {
    BACKEND_BASE_URL: gateway,
    CALLBACK_URL: gateway,
    CALLBACK_TOKEN: spec.callback_token,
    EVENTS_MODE: door.mode,
    EVENTS_REDIS_URL: redis ? door.url : undefined,
    EVENTS_STREAM: redis ? inStream(spec.job_id, spec.attempt) : undefined,
  };
}

function storage(config: WorkerConfig): Variables {
  return {
    STORAGE_TYPE: config.STORAGE_TYPE,
    STORAGE_BUCKET: config.STORAGE_BUCKET,
    S3_ENDPOINT: config.TRAINER_S3_ENDPOINT ?? config.S3_ENDPOINT,
    S3_REGION: config.S3_REGION,
    S3_FORCE_PATH_STYLE: String(config.S3_FORCE_PATH_STYLE),
    S3_ACCESS_KEY_ID: config.S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY: config.S3_SECRET_ACCESS_KEY,
  };
}

/** `threads` are those of one process. */
function limits({ gpu_ids }: AttemptSpec, config: WorkerConfig, threads: number): Optional {
  return {
    DEVICE: config.DEVICE,
    CUDA_VISIBLE_DEVICES: gpu_ids.length > 0 ? gpu_ids.join(",") : config.CUDA_VISIBLE_DEVICES,
    // With one or two cores a loader process costs more than it brings.
    NUM_WORKERS: String(threads > 2 ? Math.min(8, threads - 1) : 0),
    OMP_NUM_THREADS: String(threads),
    HEARTBEAT_S: String(config.HEARTBEAT_S),
    GRACE_S: String(config.GRACE_S),
    MAX_RUNTIME_S: String(config.MAX_RUNTIME_S),
    CHECKPOINT_EVERY_S: String(config.CHECKPOINT_EVERY_S),
    ALLOW_NETWORK: String(config.ALLOW_NETWORK),
    GIT_SSL_CAINFO: config.GIT_SSL_CAINFO,
  };
}

/**
 * Every variable of the trainer of this attempt. `surroundings` come from the launcher, `threads` is the trainer's share
 * of the processor cores.
 */
export function trainerEnvironment(
  spec: AttemptSpec,
  config: WorkerConfig,
  surroundings: Variables,
  door: EventDoor,
  threads: number,
): Variables {
  const all: Optional = {
    ...surroundings,
    ...task(spec, config.STORAGE_BUCKET),
    ...doors(spec, config, door),
    ...limits(spec, config, Math.max(1, Math.floor(threads / spec.gpus))),
    ...storage(config),
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The values that may never appear in a log line. */
export function trainerSecrets(environment: Variables): string[] {
  const names = ["CALLBACK_TOKEN", "EVENTS_REDIS_URL", "S3_SECRET_ACCESS_KEY"];
  const password = environment.EVENTS_REDIS_URL ? new URL(environment.EVENTS_REDIS_URL).password : "";
  return [...names.map((name) => environment[name] ?? ""), password].filter((value) => value.length >= 6);
}
