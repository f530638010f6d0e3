/** Everything is deployed again while trainings run: one that can end in time, and one that cannot. */
import type { Job } from "@vision-platform/contracts/api/jobs";
import { allEvents, type Person, untilJob, untilOver } from "@vision-platform/e2e/person";
import type { Case } from "@vision-platform/e2e/walkthrough/cases";
import { expect } from "@vision-platform/e2e/walkthrough/expecting";
import { epochsOf } from "@vision-platform/e2e/walkthrough/job-record";
import { type Place, startTraining } from "@vision-platform/e2e/walkthrough/steps";
import type { Drained, Project } from "./project.ts";
import type { Viewers } from "./viewers.ts";

const LIMIT_S = 900;

export interface Redeployed {
  drained: Drained[];
  /** The training that went on with a new worker: the last epoch before, and the first after. */
  resumed: { before: number; after: number; epochs: number };
}

export interface RedeployOptions {
  project: Project;
  person: Person;
  viewers: Viewers;
  place: Place;
  example: Case;
  /** Seconds that an epoch takes when two train at once. */
  pace: number;
  /** Seconds that a deployment takes until it is active. */
  deploying: number;
  /** Seconds that old workers have. */
  draining: number;
}

/** Of the draining time, what trainers have to save. */
export const SAVING_S = 15;

/** Few enough for the draining time, also with a training in every worker, old and new. */
const SHORT_EPOCHS = 3;

/** Epochs of a training that is far from its end when the draining time is over. */
export function longEpochs({ pace, deploying, draining }: Pick<RedeployOptions, "pace" | "deploying" | "draining">) {
  // An epoch is up to twice as quick while nothing else trains.
  return Math.round((2 * (2 * deploying + 2 * draining)) / pace);
}

/** The first of these trainings that one of the workers has, as soon as it is in its first epochs. */
async function runningOn(person: Person, jobs: Job[], workers: string[]): Promise<Job> {
  const found = async ({ id }: Job) => {
    const job = await untilJob(
      person,
      id,
      ({ attempts, progress }) => attempts[0]?.worker_id != null && (progress.epoch ?? 0) >= 1,
      LIMIT_S,
    );
    if (workers.some((name) => job.attempts[0]?.worker_id?.startsWith(name))) return job;
    throw new Error(`job ${id} is with a new worker`);
  };
  return await Promise.any(jobs.map(found));
}

/**
 * Deploys all services at once, as a push to the repository does. Rejects unless a training that could end within the
 * draining time did so in its first attempt, and one that could not went on where it was.
 */
export async function redeployWhileTraining(options: RedeployOptions): Promise<Redeployed> {
  const { project, person, viewers, place, example } = options;
  const begin = async (epochs: number) => {
    const job = await startTraining(person, place, example, epochs);
    viewers.watch(job.id);
    return job;
  };
  const epochs = longEpochs(options);
  const long = await begin(epochs);
  await untilJob(person, long.id, ({ phase, progress }) => phase === "training" && (progress.epoch ?? 0) >= 2, LIMIT_S);

  const service = `worker-${example.framework}`;
  const oldWorkers = project.active(service).replicas.map(({ name }) => name);
  const deployments = await Promise.all(project.services.map((name) => project.start(name)));
  // New and old workers are there side by side: with a training for each that is free, an old one has one of them.
  const free = 2 * oldWorkers.length - 1;
  const shorts = await Promise.all(Array.from({ length: free }, () => begin(SHORT_EPOCHS)));
  const short = await runningOn(person, shorts, oldWorkers);

  const draining = Promise.all(deployments.map((deployment) => project.activate(deployment)));
  const late = await begin(example.epochs);
  const drained = (await draining).filter((each) => each !== null);
  checkExits(drained);
  const over = await Promise.all([long, ...shorts, late].map(({ id }) => untilOver(person, id, LIMIT_S)));
  for (const { id, state, failure } of over)
    expect(state === "SUCCEEDED", `job ${id} ${state}: ${JSON.stringify(failure)}`);
  const outcomes = ({ id }: Job) =>
    over
      .find((job) => job.id === id)
      ?.attempts.map(({ outcome }) => outcome)
      .join(" ");
  expect(outcomes(short) === "succeeded", `the short training was left alone, found ${outcomes(short)}`);
  expect(outcomes(long) === "interrupted succeeded", `the long training was given back once, found ${outcomes(long)}`);
  const lateWorker = over.at(-1)?.attempts[0]?.worker_id ?? "";
  expect(
    !oldWorkers.some((name) => lateWorker.startsWith(name)),
    `a new worker takes the next job, found ${lateWorker}`,
  );
  return { drained, resumed: { ...(await resumed(person, long)), epochs } };
}

function checkExits(drained: Drained[]): void {
  for (const { service, exitCodes } of drained) {
    const codes = exitCodes.join(", ");
    expect(
      exitCodes.every((code) => code === 0),
      `${service} ends by itself, found exit codes ${codes}`,
    );
  }
}

/** The last epoch of the first attempt, and the first of the second; rejects when that began anew. */
async function resumed(person: Person, job: Job): Promise<{ before: number; after: number }> {
  const events = await allEvents(person, job.id);
  const before = Math.max(...epochsOf(events, 1));
  const after = Math.min(...epochsOf(events, 2));
  expect(after > 1 && after >= before - 1, `the long training goes on at epoch ${before}, found ${after}`);
  return { before, after };
}
