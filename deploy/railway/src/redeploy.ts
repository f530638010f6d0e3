/** Everything is deployed again while trainings run: one that can end in time, and one that cannot. */
import type { Job } from "@vision-platform/contracts/api/jobs";
import { allEvents, type Person, untilJob, untilOver } from "@vision-platform/e2e/person";
import type { Case } from "./cases.ts";
import { expect } from "./expecting.ts";
import { epochsOf } from "./job-record.ts";
import type { Drained, Project } from "./project.ts";
import { type Place, startTraining } from "./scenario.ts";
import type { Viewers } from "./viewers.ts";

const LIMIT_S = 900;

export interface Redeployed {
  drained: Drained[];
  /** The training that went on with a new worker: the last epoch before, and the first after. */
  resumed: { before: number; after: number; epochs: number };
}

/**
 * Deploys all services at once, as a push to the repository does. Resolves when the new deployments are active and the
 * old workers have their SIGTERM; `drained` when the old ones are gone.
 */
async function deployAll(project: Project): Promise<{ drained: Promise<Drained[]> }> {
  const deployments = await Promise.all(project.services.map((service) => project.deploy(service)));
  const drained = Promise.all(deployments.map((deployment) => deployment.drained));
  const gone = drained.then((all) => all.filter((each) => each !== null));
  // Whoever waits for it is told; until somebody does, a failure is not the end of the process.
  gone.catch(() => undefined);
  return { drained: gone };
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

/** Epochs of a training that ends well within the draining time, and of one that is far from its end by then. */
export function lengths({ pace, deploying, draining }: Pick<RedeployOptions, "pace" | "deploying" | "draining">) {
  // An epoch is up to twice as quick once the other training is over.
  const short = Math.max(4, Math.round((deploying + (draining - SAVING_S) * 0.4) / pace));
  return { short, long: short + Math.round((2.5 * draining + deploying) / pace) };
}

/** Rejects unless the short training ended in its first attempt and the long one went on where it was. */
export async function redeployWhileTraining(options: RedeployOptions): Promise<Redeployed> {
  const { project, person, viewers, place, example } = options;
  const epochs = lengths(options);
  const [long, short] = await Promise.all([
    startTraining(person, place, example, epochs.long),
    startTraining(person, place, example, epochs.short),
  ]);
  viewers.watch(long.id);
  viewers.watch(short.id);
  const trains = (job: Job) => job.phase === "training" && (job.progress.epoch ?? 0) >= 2;
  await Promise.all([long, short].map(({ id }) => untilJob(person, id, trains, LIMIT_S)));

  const service = `worker-${example.framework}`;
  const deployed = await deployAll(project);
  // The old workers take nothing any more: only a new one may have it.
  const late = await startTraining(person, place, example);
  viewers.watch(late.id);
  const drained = await deployed.drained;
  for (const { service: name, exitCodes } of drained) {
    expect(
      exitCodes.every((code) => code === 0),
      `${name} ends by itself, found exit codes ${exitCodes.join(", ")}`,
    );
  }

  const [longOver, shortOver, lateOver] = await Promise.all(
    [long, short, late].map(({ id }) => untilOver(person, id, LIMIT_S)),
  );
  for (const job of [longOver, shortOver, lateOver]) {
    expect(job?.state === "SUCCEEDED", `job ${job?.id} ${job?.state}: ${JSON.stringify(job?.failure)}`);
  }
  const outcomes = (job: Job | undefined) => job?.attempts.map(({ outcome }) => outcome).join(" ");
  expect(outcomes(shortOver) === "succeeded", `the short training was left alone, found ${outcomes(shortOver)}`);
  expect(
    outcomes(longOver) === "interrupted succeeded",
    `the long training was given back once, found ${outcomes(longOver)}`,
  );
  const newWorkers = project.active(service).replicas.map(({ name }) => name);
  const lateWorker = lateOver?.attempts[0]?.worker_id ?? "";
  expect(
    newWorkers.some((name) => lateWorker.startsWith(name)),
    `a new worker takes the next job, found ${lateWorker}`,
  );

  const events = await allEvents(person, long.id);
  const before = Math.max(...epochsOf(events, 1));
  const after = Math.min(...epochsOf(events, 2));
  expect(after > 1 && after >= before - 1, `the long training goes on at epoch ${before}, found ${after}`);
  return { drained, resumed: { before, after, epochs: epochs.long } };
}
