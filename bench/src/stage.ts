/** A platform with the benchmark's own trainer and a dataset that is READY, without anything to download or decode. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createDataset } from "@vision-platform/contracts/api/datasets";
import { createProject } from "@vision-platform/contracts/api/projects";
import type { TrainerManifestInput } from "@vision-platform/contracts/trainer-manifest";
import { newPerson, type Person } from "@vision-platform/e2e/person";
import { CHECKOUT, Platform, type Servers } from "@vision-platform/e2e/platform";
import pg from "pg";

export interface Stage {
  platform: Platform;
  person: Person;
  project_id: number;
  dataset_id: number;
  close(): Promise<void>;
}

const TRAINER = resolve(import.meta.dirname, "../trainer");

function manifest(framework: string, command: string[]): TrainerManifestInput {
  return {
    contract_version: 1,
    framework,
    title: framework,
    license: "Apache-2.0",
    image: "none",
    enabled: true,
    kinds: { train: { command } },
    tasks: { image_classification: { primary_metric: "val/top1", direction: "max" } },
    hyperparameters: { type: "object" },
    models: [
      {
        name: "none",
        title: "none",
        tasks: ["image_classification"],
        params_m: 0,
        input_size: 32,
        license: "none",
        tags: [],
        pretrained: false,
      },
    ],
  };
}

/** `withWorkers: false` leaves every job QUEUED, but for those of `idleWorkers`' frameworks. */
export async function setStage(
  servers: Servers,
  options: { withWorkers: boolean; slots: number; idleWorkers?: string[] },
): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "vp-bench-"));
  const commands = {
    bench_start: ["/bin/sh", join(TRAINER, "start.sh")],
    bench_events: ["python", join(TRAINER, "events.py")],
  };
  for (const [framework, command] of Object.entries(commands)) {
    mkdirSync(join(folder, "trainers", framework), { recursive: true });
    writeFileSync(join(folder, "trainers", framework, "trainer.json"), JSON.stringify(manifest(framework, command)));
    mkdirSync(join(folder, "envs"), { recursive: true });
    symlinkSync(join(CHECKOUT, ".vp/envs/sdk"), join(folder, "envs", framework));
  }
  const platform = await Platform.start({
    servers,
    redis_db: 14,
    slots: options.slots,
    frameworks: options.withWorkers ? Object.keys(commands) : (options.idleWorkers ?? []),
    trainers_dir: join(folder, "trainers"),
    trainer_envs_dir: join(folder, "envs"),
  });
  const person = await newPerson(platform.gateway_url, "bench");
  const project = await person.api.call(createProject, { body: { name: "bench" } });
  const body = { project_id: project.id, name: "none", task_type: "image_classification" as const };
  const dataset = await person.api.call(createDataset, { body });
  await markReady(platform.database_url, project.id, person.user_id, dataset.id);
  return {
    platform,
    person,
    project_id: project.id,
    dataset_id: dataset.id,
    async close() {
      await platform.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Rows as an ingest job leaves them: the benchmark's trainers never open a dataset. */
export async function markReady(url: string, project: number, user: number, dataset: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const job = await client.query(
    `insert into jobs (project_id, created_by, kind, name, framework, model_name, task_type, dataset_id, dataset_version,
       epochs, batch_size, learning_rate, seed, state, trace_id, traceparent)
     values ($1, $2, 'ingest', 'none', 'dataset', '', 'image_classification', $3, 1, 1, 1, 1, 0, 'SUCCEEDED', $4, $5) returning id`,
    [project, user, dataset, "0".repeat(31).concat("1"), `00-${"0".repeat(31)}1-${"0".repeat(15)}1-01`],
  );
  await client.query(
    `insert into dataset_versions (dataset_id, version, state, job_id, filename) values ($1, 1, 'READY', $2, 'none.zip')`,
    [dataset, job.rows[0].id],
  );
  await client.end();
}

/** Body of a job for the benchmark's trainers. */
export function jobBody(stage: Stage, framework: string, config: Record<string, unknown> = {}) {
  return {
    project_id: stage.project_id,
    dataset_id: stage.dataset_id,
    framework,
    model_name: "none",
    task_type: "image_classification" as const,
    epochs: 1,
    batch_size: 1,
    learning_rate: 0.1,
    config,
    start: true,
  };
}
