/** What people do with the platform, through its public addresses only. */
import { createApiClient } from "@vision-platform/common/api-client";
import { createApiKey } from "@vision-platform/contracts/api/auth";
import { createDerivedJob, createJob, type Job } from "@vision-platform/contracts/api/jobs";
import { newPerson, type Person, projectWithDataset, untilOver } from "../person.ts";
import type { Case } from "./cases.ts";
import { expect } from "./expecting.ts";

/** Seconds that a job of a case may take. */
export const LIMIT_S = 600;

export interface Place {
  project_id: number;
  dataset_id: number;
}

/** Registers, and goes on with an API key: an access token would run out on the way. */
export async function register(gatewayUrl: string): Promise<Person> {
  const person = await newPerson(gatewayUrl, "walkthrough");
  const { key } = await person.api.call(createApiKey, { body: { name: "walkthrough" } });
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

/** Waits until the job is over. @throws Error when it did not succeed. */
export async function succeeded(person: Person, job: Job): Promise<Job> {
  const over = await untilOver(person, job.id, LIMIT_S);
  expect(
    over.state === "SUCCEEDED",
    `job ${job.id} (${job.framework}, ${job.kind}) ${over.state}: ${JSON.stringify(over.failure)}`,
  );
  return over;
}

/** The model of a training is evaluated, predicted with and exported. */
export async function useModel(person: Person, trained: Job): Promise<Job[]> {
  const kinds = ["evaluate", "predict", "export"] as const;
  const params = { job_id: trained.id };
  const jobs = await Promise.all(kinds.map((kind) => person.api.call(createDerivedJob, { params, body: { kind } })));
  return await Promise.all(jobs.map((job) => succeeded(person, job)));
}
