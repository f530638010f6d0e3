/** What people do in the simulation beside what `walkthrough/steps.ts` has for every shape of deployment. */
import { cancelJob, type Job } from "@vision-platform/contracts/api/jobs";
import { type Person, untilJob, untilOver } from "@vision-platform/e2e/person";
import type { Case } from "@vision-platform/e2e/walkthrough/cases";
import { expect } from "@vision-platform/e2e/walkthrough/expecting";
import { LIMIT_S, type Place, startTraining, succeeded } from "@vision-platform/e2e/walkthrough/steps";
import type { Viewers } from "./viewers.ts";

/** The cancelled training would take far longer than the simulation. */
const MANY_EPOCHS = 20_000;

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
