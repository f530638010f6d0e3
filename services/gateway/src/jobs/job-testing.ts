/** For tests: a gateway with one trainable dataset, and the steps of a worker's and a trainer's life against it. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { claimAttempt, finishAttempt, pushEvents, replayEvents } from "@vision-platform/contracts/api/internal";
import { createJob, startJob } from "@vision-platform/contracts/api/jobs";
import type { BodyInput } from "@vision-platform/contracts/api/operation";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { AttemptOutcome } from "@vision-platform/contracts/job-state";
import { jobPrefix, resultKey, s3Uri } from "@vision-platform/contracts/names";
import type { TrainerEventHead } from "@vision-platform/contracts/trainer-events";
import { startTestGateway, type TestGateway, type TestGatewayOptions, type TestUser } from "../testing.ts";
import { createIngestJob } from "./ingest-job.ts";

const MANIFEST = {
  contract_version: 1,
  framework: "timm",
  title: "timm",
  license: "Apache-2.0",
  image: "timm",
  enabled: true,
  kinds: {
    train: { command: ["python", "-m", "timm_trainer"] },
    evaluate: {
      command: ["python", "-m", "timm_trainer"],
      options: {
        type: "object",
        additionalProperties: false,
        properties: { split: { enum: ["train", "val", "test"], default: "val" } },
      },
    },
    predict: { command: ["python", "-m", "timm_trainer"] },
  },
  tasks: { image_classification: { primary_metric: "val/top1", direction: "max" } },
  hyperparameters: {
    type: "object",
    additionalProperties: false,
    properties: { mixup: { type: "number", minimum: 0, maximum: 1, default: 0 } },
  },
  models: [
    {
      ...{ name: "test_resnet", title: "Test ResNet", tasks: ["image_classification"], params_m: 0.5, input_size: 160 },
      ...{ license: "Apache-2.0", tags: ["small"], pretrained: false },
    },
  ],
};

function trainersDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "vp-trainers-"));
  mkdirSync(join(dir, "timm"));
  writeFileSync(join(dir, "timm", "trainer.json"), JSON.stringify(MANIFEST));
  return dir;
}

/** An event as a trainer sends it. */
export function event(
  src_seq: number,
  type = "log",
  data: Record<string, unknown> = { level: "info", message: `line ${src_seq}` },
): TrainerEventHead {
  return { v: 1, type, ts: new Date().toISOString(), src_seq, data };
}

export interface JobWorld extends TestGateway {
  owner: TestUser;
  project_id: number;
  dataset_id: number;
  spec(overrides?: object): BodyInput<typeof createJob>;
  /** A job that waits for its first attempt. */
  queued(overrides?: object): Promise<number>;
  claim(job_id: number, attempt?: number): Promise<Claimed>;
  /** A job with a running first attempt. */
  running(overrides?: object): Promise<Claimed>;
  events(job_id: number): Promise<JobEvent[]>;
}

export interface Claimed {
  job_id: number;
  attempt: number;
  lease_token: string;
  callback_token: string;
  resume_uri: string | null;
  model_uri: string | null;
  config: Record<string, unknown>;
  push(
    events: TrainerEventHead[],
    options?: { source?: "trainer" | "worker"; allow_gap?: boolean },
  ): Promise<{ acked: number; cancel: boolean }>;
  finish(outcome: AttemptOutcome, extra?: object): Promise<{ state: string; attempt: number }>;
  /** Puts an artifact and RESULT.json into the storage and says `succeeded` with the next number. */
  deliver(src_seq: number): Promise<void>;
}

/** Everything that startTestGateway gives, and one project with a READY dataset and a framework `timm` to train with. */
export async function startJobWorld(options: TestGatewayOptions = {}): Promise<JobWorld> {
  const world = await startTestGateway({ ...options, config: { TRAINERS_DIR: trainersDir(), ...options.config } });
  const owner = await world.user("owner");
  const project_id = await world.project(owner);
  const dataset_id = await readyDataset(world, project_id, owner.session.user.id);
  const spec = (overrides: object = {}) => ({
    ...{
      project_id,
      dataset_id,
      framework: "timm",
      model_name: "test_resnet",
      task_type: "image_classification" as const,
    },
    ...{ epochs: 2, batch_size: 8, learning_rate: 0.1 },
    ...overrides,
  });
  const queued = async (overrides: object = {}) => {
    const { id: job_id } = await owner.call(createJob, { body: spec(overrides) });
    await owner.call(startJob, { params: { job_id } });
    return job_id;
  };
  const claim = async (job_id: number, attempt = 1) => {
    const body = { worker_id: "worker-1", host: "host-1" };
    return claimed(world, await world.internal.call(claimAttempt, { params: { job_id, attempt }, body }));
  };
  return {
    ...world,
    ...{ owner, project_id, dataset_id, spec, queued, claim },
    running: async (overrides) => await claim(await queued(overrides)),
    events: async (job_id) =>
      (await world.internal.call(replayEvents, { params: { job_id }, query: { after: 0, limit: 1000 } })).items,
  };
}

function claimed(world: TestGateway, attempt: Omit<Claimed, "push" | "finish" | "deliver">): Claimed {
  const { job_id, attempt: number, lease_token } = attempt;
  const params = { job_id, attempt: number };
  const push: Claimed["push"] = (events, { source = "trainer", allow_gap = false } = {}) =>
    world.internal.call(pushEvents, { params, body: { lease_token, source, allow_gap, events } });
  return {
    ...attempt,
    push,
    finish: (outcome, extra = {}) =>
      world.internal.call(finishAttempt, {
        params,
        body: { lease_token, outcome, exit_code: outcome === "succeeded" ? 0 : 1, ...extra },
      }),
    async deliver(src_seq) {
      const artifacts = [await putArtifact(world, `${jobPrefix(job_id)}artifacts/model.safetensors`, "weights")];
      const metrics = { "val/top1": 0.97 };
      await putObject(
        world,
        resultKey(job_id),
        JSON.stringify({ v: 1, ...params, kind: "train", status: "succeeded", metrics, artifacts }),
      );
      await push([event(src_seq, "succeeded", { metrics, artifacts })]);
    },
  };
}

/** Puts text into the storage as the trainer's SDK does, with its metadata. */
export async function putObject(
  world: TestGateway,
  key: string,
  body: string,
  metadata: Record<string, string> = {},
): Promise<void> {
  const { s3, config } = world.gateway;
  await s3.send(new PutObjectCommand({ Bucket: config.STORAGE_BUCKET, Key: key, Body: body, Metadata: metadata }));
}

/** An object with its hash, as RESULT.json names it. */
export async function putArtifact(world: TestGateway, key: string, body: string) {
  const sha256 = createHash("sha256").update(body).digest("hex");
  await putObject(world, key, body, { sha256 });
  const uri = s3Uri(world.gateway.config.STORAGE_BUCKET, key);
  return {
    name: key.split("/").at(-1) as string,
    uri,
    sha256,
    bytes: body.length,
    media_type: "application/octet-stream",
  };
}

/** Another dataset of the project; its version 1 has the given state. */
export async function readyDataset(
  { gateway }: TestGateway,
  project_id: number,
  user_id: number,
  state: "READY" | "INGESTING" = "READY",
): Promise<number> {
  const dataset = await gateway.db
    .insertInto("datasets")
    .values({ project_id, name: `digits-${Math.random()}`, task_type: "image_classification" })
    .returning("id")
    .executeTakeFirstOrThrow();
  const { job_id } = await createIngestJob(gateway.db, {
    ...{
      project_id,
      created_by: user_id,
      dataset_id: dataset.id,
      dataset_version: 1,
      task_type: "image_classification",
    },
    ...{
      filename: "digits.zip",
      source_uri: "s3://bucket/uploads/1/digits.zip",
      skip_bad_files: false,
      val_fraction: 0.2,
      format: "auto",
      seed: 0,
    },
    trace: { trace_id: "1".repeat(32), traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` },
  });
  const row = { dataset_id: dataset.id, version: 1, state, job_id, filename: "digits.zip", findings: "[]" };
  await gateway.db
    .insertInto("dataset_versions")
    .values({ ...row, finding_counts: '{"error":0,"warning":0}' })
    .execute();
  return dataset.id;
}
