/** What the platform costs a training: throughput of a real timm job, beside the same loop without the platform. */
import { execFile } from "node:child_process";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { createJob, listJobMetrics } from "@vision-platform/contracts/api/jobs";
import { digitsZip } from "@vision-platform/e2e/digits";
import { newPerson, type Person, projectWithDataset, untilOver } from "@vision-platform/e2e/person";
import { CHECKOUT, Platform, type Servers } from "@vision-platform/e2e/platform";
import { type Figure, quantile } from "./report.ts";

const ROUNDS = 4;
const SPEC = { model_name: "test_resnet", epochs: 8, batch_size: 64, learning_rate: 0.005, seed: 1 };
/** The first epoch decodes the images and warms torch up. */
const WARM_UP_EPOCHS = 1;

async function asJob(person: Person, place: { project_id: number; dataset_id: number }): Promise<number[]> {
  const body = { ...place, ...SPEC, framework: "timm", task_type: "image_classification" as const, start: true };
  const job = await person.api.call(createJob, { body });
  const over = await untilOver(person, job.id, 300);
  if (over.state !== "SUCCEEDED") throw new Error(`job ${job.id}: ${JSON.stringify(over.failure)}`);
  const query = { scope: "epoch" as const, name: "perf/samples_per_s" };
  const { series } = await person.api.call(listJobMetrics, { params: { job_id: job.id }, query });
  return (series["perf/samples_per_s"] ?? []).slice(WARM_UP_EPOCHS).map((point) => point.value ?? Number.NaN);
}

async function alone(platform: Platform, dataset_id: number): Promise<number[]> {
  const task = {
    ...SPEC,
    bucket: platform.bucket,
    s3_endpoint: platform.servers.s3_endpoint,
    dataset_uri: `s3://${platform.bucket}/datasets/${dataset_id}/v1/`,
    cache_dir: `${platform.folder}/bare-cache`,
  };
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: platform.folder,
    // As the trainer sets it for itself.
    GOMP_SPINCOUNT: "10000",
    S3_ACCESS_KEY_ID: platform.servers.s3_access_key_id,
    S3_SECRET_ACCESS_KEY: platform.servers.s3_secret_access_key,
  };
  const script = resolve(import.meta.dirname, "../trainer/bare_loop.py");
  const run = promisify(execFile);
  const { stdout } = await run(`${CHECKOUT}/.vp/envs/timm/bin/python`, [script, JSON.stringify(task)], { env });
  return (JSON.parse(stdout) as number[]).slice(WARM_UP_EPOCHS);
}

export async function benchOverhead(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  const platform = await Platform.start({ servers, redis_db: 13 });
  try {
    const person = await newPerson(platform.gateway_url, "bench");
    const place = await projectWithDataset(person, await digitsZip(platform.folder));
    const job: number[] = [];
    const bare: number[] = [];
    // In turns, so that what else the machine does meanwhile hits both.
    for (let round = 0; round < ROUNDS; round++) {
      job.push(...(await asJob(person, place)));
      bare.push(...(await alone(platform, place.dataset_id)));
    }
    const [withPlatform, without] = [quantile(job, 0.5), quantile(bare, 0.5)];
    const overhead = (1 - withPlatform / without) * 100;
    return {
      figures: [
        {
          name: "trainer throughput (test_resnet on digits, CPU)",
          measured: `${withPlatform.toFixed(0)} images/s: ${overhead.toFixed(1)} % overhead`,
          limit: `${without.toFixed(0)} images/s`,
          goal: "overhead ≤ 1 %",
          met: overhead <= 1,
        },
      ],
      notes: [
        `overhead: ${ROUNDS} rounds in turns, median of ${job.length} epochs each (the first of every run left out); the platform's services, Postgres, Redis and S3 share the machine's ${cpus().length} cores with the trainer; spread with platform ${quantile(job, 0.1).toFixed(0)}–${quantile(job, 0.9).toFixed(0)}, without ${quantile(bare, 0.1).toFixed(0)}–${quantile(bare, 0.9).toFixed(0)} images/s.`,
      ],
    };
  } finally {
    await platform.stop();
  }
}
