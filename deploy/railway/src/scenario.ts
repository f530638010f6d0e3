/** What people do with the platform, through its public addresses only. */

import { createApiClient } from "@vision-platform/common/api-client";
import { createApiKey } from "@vision-platform/contracts/api/auth";
import { cancelJob, createDerivedJob, createJob, type Job } from "@vision-platform/contracts/api/jobs";
import { newPerson, type Person, projectWithDataset, untilJob, untilOver } from "@vision-platform/e2e/person";
import type { Case } from "./cases.ts";
import { expect } from "./expecting.ts";
import type { Viewers } from "./viewers.ts";

const LIMIT_S = 600;
/** The cancelled training would take far longer than the simulation. */
const MANY_EPOCHS = 20_000;

export interface Place {
  project_id: number;
  dataset_id: number;
}

/** Registers, and goes on with an API key: an access token would run out on the way. */
export async function register(gatewayUrl: string): Promise<Person> {
  const person = await newPerson(gatewayUrl, "railway");
  const { key } = await person.api.call(createApiKey, { body: { name: "simulation" } });
  return { ...person, token: key, api: createApiClient(gatewayUrl, key) };
}

/** Uploads the images of a case and waits until they are a dataset. */
export async function upload(person: Person, { task_type, upload: make }: Case, folder: string): Promise<Place> {
  return await projectWithDataset(person, await make(folder), task_type);
}

export async function startTraining(
  person: Person,
  place: Place,
  example: Case,
  epochs = example.epochs,
): Promise<Job> {
  const { upload: _, ...spec } = example;
  return await person.api.call(createJob, { body: { ...place, ...spec, epochs, start: true } });
}

async function succeeded(person: Person, job: Job): Promise<Job> {
  const over = await untilOver(person, job.id, LIMIT_S);
  expect(
    over.state === "SUCCEEDED",
    `job ${job.id} (${job.framework}, ${job.kind}) ${over.state}: ${JSON.stringify(over.failure)}`,
  );
  return over;
}

/** Two trainings at once, one on each worker of the framework. Answers with the first. */
export async function trainTwice(person: Person, viewers: Viewers, place: Place, example: Case): Promise<Job> {
  const started = await Promise.all([1, 2].map(() => startTraining(person, place, example)));
  for (const { id } of started) viewers.watch(id);
  const over = await Promise.all(started.map((job) => succeeded(person, job)));
  const workers = new Set(over.map(({ attempts }) => attempts[0]?.worker_id));
  expect(workers.size === 2, `${example.framework}: both workers train, found ${[...workers].join(", ")}`);
  const [first] = over;
  if (!first) throw new Error("no training was started");
  const metric = first.primary_metric?.name ?? "";
  expect(typeof first.metrics[metric] === "number", `job ${first.id} has ${metric}`);
  return first;
}

/** The model of a training is evaluated, predicted with and exported. */
export async function useModel(person: Person, trained: Job): Promise<Job[]> {
  const kinds = ["evaluate", "predict", "export"] as const;
  const params = { job_id: trained.id };
  const jobs = await Promise.all(kinds.map((kind) => person.api.call(createDerivedJob, { params, body: { kind } })));
  return await Promise.all(jobs.map((job) => succeeded(person, job)));
}

/** Cancels a training in the middle; answers with the seconds until it was over. */
export async function cancelInTheMiddle(
  person: Person,
  viewers: Viewers,
  place: Place,
  example: Case,
): Promise<number> {
  const job = await startTraining(person, place, example, MANY_EPOCHS);
  viewers.watch(job.id);
  await untilJob(person, job.id, ({ phase, progress }) => phase === "training" && (progress.epoch ?? 0) >= 2, LIMIT_S);
  const began = Date.now();
  await person.api.call(cancelJob, { params: { job_id: job.id } });
  const over = await untilOver(person, job.id, 60);
  expect(over.state === "CANCELLED" && over.attempts.length === 1, `job ${job.id} is cancelled, found ${over.state}`);
  return (Date.now() - began) / 1000;
}
