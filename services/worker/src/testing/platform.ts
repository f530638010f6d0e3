/** Gateway, Redis, S3 and a user with a dataset: everything around a worker, real. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { type ApiClient, createApiClient } from "@vision-platform/common/api-client";
import { ensureBucket } from "@vision-platform/common/s3";
import { register } from "@vision-platform/contracts/api/auth";
import { completeUpload, createDataset, createUpload, getDataset } from "@vision-platform/contracts/api/datasets";
import {
  cancelJob,
  createDerivedJob,
  createJob,
  getJob,
  type Job,
  listJobEvents,
} from "@vision-platform/contracts/api/jobs";
import { createProject } from "@vision-platform/contracts/api/projects";
import { listWorkers, type WorkerView } from "@vision-platform/contracts/api/workers";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { checkpointPointerKey } from "@vision-platform/contracts/names";
import { testServices } from "./config.ts";
import { type GatewayProcess, startGatewayProcess } from "./gateway-process.ts";
import type { ScriptStep } from "./script.ts";
import { testStorage } from "./test-storage.ts";
import { writeTestTrainers } from "./test-trainers.ts";
import { startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

export interface TestPlatform {
  gateway: GatewayProcess;
  /** Its own bucket. */
  bucket: string;
  /** A temporary folder of the test. */
  folder: string;
  workDir: string;
  /** A worker for the framework `scripted`; ended with the platform at the latest. */
  worker(settings?: Record<string, string>): Promise<WorkerProcess>;
  /** Submits and starts a job that follows the script; `more` are further fields of the request. */
  submit(script: ScriptStep[], more?: { gpus?: number; min_vram_gb?: number; batch_size?: number }): Promise<number>;
  /** The workers as people see them. */
  workers(): Promise<WorkerView[]>;
  /** An evaluate job of that training, which gets the pointer to a best checkpoint for it. */
  evaluate(trainingId: number, script: ScriptStep[]): Promise<number>;
  cancel(jobId: number): Promise<unknown>;
  job(jobId: number): Promise<Job>;
  events(jobId: number): Promise<JobEvent[]>;
  /** The job once it is as wanted; throws with its last state after `limitMs`. */
  until(jobId: number, wanted: (job: Job) => boolean, limitMs?: number): Promise<Job>;
  stop(): Promise<void>;
}

/** Asks until the answer is not undefined. Throws after `limitMs`. */
export async function eventually<Value>(
  ask: () => Promise<Value | undefined> | Value | undefined,
  limitMs = 20_000,
): Promise<Value> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`nothing came within ${limitMs} ms`);
    await sleep(20);
  }
}

function workerSettings(
  gateway: GatewayProcess,
  dirs: { trainers: string; work: string; bucket: string },
): Record<string, string> {
  const services = testServices();
  return {
    FRAMEWORK: "scripted",
    TRAINING_EXECUTION_MODE: "subprocess",
    GATEWAY_URL: gateway.url,
    INTERNAL_TOKEN: gateway.internal_token,
    REDIS_URL: gateway.redis_url,
    S3_ENDPOINT: services.TEST_S3_ENDPOINT,
    S3_ACCESS_KEY_ID: services.TEST_S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY: services.TEST_S3_SECRET_ACCESS_KEY,
    STORAGE_BUCKET: dirs.bucket,
    WORK_DIR: dirs.work,
    TRAINERS_DIR: dirs.trainers,
    TRAINER_ENVS_DIR: dirs.trainers,
    GRACE_S: "2",
  };
}

/** A READY dataset through the public API; the ingest is done by a worker with the script trainer. */
async function makeDataset(client: ApiClient, project_id: number, settings: Record<string, string>): Promise<number> {
  const dataset = await client.call(createDataset, {
    body: { project_id, name: "d", task_type: "image_classification" },
  });
  const params = { dataset_id: dataset.id };
  const file = Buffer.alloc(64);
  const upload = await client.call(createUpload, { params, body: { filename: "d.zip", bytes: file.length } });
  await fetch(upload.urls[0]?.url ?? "", { method: "PUT", body: file });
  await client.call(completeUpload, { params: { ...params, upload_id: upload.upload_id }, body: {} });
  const worker = await startWorkerProcess({ ...settings, FRAMEWORK: "dataset" });
  await eventually(async () => (await client.call(getDataset, { params })).latest_version ?? undefined);
  await worker.stop();
  return dataset.id;
}

/** Stop it in `afterAll`. */
export async function startTestPlatform(): Promise<TestPlatform> {
  const folder = mkdtempSync(join(tmpdir(), "vp-worker-"));
  const dirs = { trainers: join(folder, "trainers"), work: join(folder, "work") };
  writeTestTrainers(dirs.trainers);
  // Job numbers begin at 1 in every test database: what lies in the storage must not be another test's.
  const bucket = `vp-worker-${process.pid}-${Date.now()}`;
  await ensureBucket(testStorage(bucket), bucket);
  const gateway = await startGatewayProcess(dirs.trainers, bucket);
  const settings = workerSettings(gateway, { ...dirs, bucket });
  const body = { email: "someone@example.org", password: "correct horse battery" };
  const session = await createApiClient(gateway.url).call(register, { body });
  const client = createApiClient(gateway.url, session.access_token);
  const project_id = (await client.call(createProject, { body: { name: "p" } })).id;
  const dataset_id = await makeDataset(client, project_id, settings);
  const workers: WorkerProcess[] = [];
  const job = (job_id: number) => client.call(getJob, { params: { job_id } });

  return {
    gateway,
    bucket,
    folder,
    workDir: dirs.work,
    async worker(more = {}) {
      const started = await startWorkerProcess({ ...settings, ...more });
      workers.push(started);
      return started;
    },
    workers: async () => (await client.call(listWorkers, {})).items,
    async submit(script, more = {}) {
      const spec = { framework: "scripted", model_name: "script", task_type: "image_classification" as const };
      const sizes = { epochs: 1, batch_size: 1, learning_rate: 0.1 };
      const request = { project_id, dataset_id, ...spec, ...sizes, config: { script }, start: true, ...more };
      return (await client.call(createJob, { body: request })).id;
    },
    async evaluate(job_id, script) {
      const Key = checkpointPointerKey(job_id, "best");
      await testStorage(bucket).send(new PutObjectCommand({ Bucket: bucket, Key, Body: "{}" }));
      const body = { kind: "evaluate" as const, config: { script } };
      return (await client.call(createDerivedJob, { params: { job_id }, body })).id;
    },
    cancel: (job_id) => client.call(cancelJob, { params: { job_id } }),
    job,
    events: async (job_id) => (await client.call(listJobEvents, { params: { job_id }, query: { limit: 1000 } })).items,
    async until(job_id, wanted, limitMs) {
      let last: Job | undefined;
      return await eventually(async () => {
        last = await job(job_id);
        return wanted(last) ? last : undefined;
      }, limitMs).catch(() => {
        throw new Error(`job ${job_id} is ${JSON.stringify(last)}`);
      });
    },
    async stop() {
      for (const each of workers) each.kill("SIGCONT");
      await Promise.all(workers.map((each) => each.stop().catch(() => undefined)));
      await gateway.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
