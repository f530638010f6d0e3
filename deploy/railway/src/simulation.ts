/** The steps of a simulation, from an empty project to the last check; everything it started is gone afterwards. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Job } from "@vision-platform/contracts/api/jobs";
import { allEvents, type Person } from "@vision-platform/e2e/person";
import type { Case } from "@vision-platform/e2e/walkthrough/cases";
import { expect } from "@vision-platform/e2e/walkthrough/expecting";
import { checkAllRecords, secondsPerEpoch } from "@vision-platform/e2e/walkthrough/job-record";
import type { Report } from "@vision-platform/e2e/walkthrough/report";
import { type Place, register, upload, useModel } from "@vision-platform/e2e/walkthrough/steps";
import { Containers } from "./containers.ts";
import { buildImage, builtImages, fromCheckout } from "./images.ts";
import { checkIsolation, trainersLeft } from "./isolation.ts";
import { startManaged } from "./managed.ts";
import { Project } from "./project.ts";
import { redeployWhileTraining, SAVING_S } from "./redeploy.ts";
import { cancelInTheMiddle, trainTwice } from "./scenario.ts";
import { serviceNames } from "./service-config.ts";
import { Viewers } from "./viewers.ts";

const LOGS = resolve(import.meta.dirname, "../../../.vp/logs/railway");

export interface SimulationOptions {
  cases: readonly Case[];
  /** Seconds that old workers have. */
  draining: number;
  /** Of the trainers' images: cpu or cuda. */
  variant: string;
  /** An image to mount the checkout into, instead of building images. */
  checkout: string | undefined;
  /** Nothing but trainings and the deployment in the middle of them. */
  brief: boolean;
}

/** Rejects with what did not hold. The logs of all containers are kept in .vp/logs/railway. */
export async function simulate(report: Report, options: SimulationOptions): Promise<void> {
  const services = serviceNames().filter((name) => {
    const framework = /^worker-(.+)$/.exec(name)?.[1] ?? "dataset";
    return framework === "dataset" || options.cases.some((each) => each.framework === framework);
  });
  if (options.checkout === undefined) await build(report, services, options.variant);
  const containers = await Containers.create(`vp-railway-${randomBytes(3).toString("hex")}`, privateSubnet());
  // Ctrl-C leaves nothing behind, either.
  const interrupted = () => void containers.remove().finally(() => process.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);
  try {
    const project = await openProject(report, containers, services, options);
    try {
      await run(report, containers, project, options);
    } finally {
      project.close();
      const kept = await keepLogs(project, containers);
      report.say(`the logs of the containers are in ${kept}`);
    }
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);
    await containers.remove();
  }
}

/** A /64 of our own (RFC 4193). */
function privateSubnet(): string {
  const hex = randomBytes(5).toString("hex");
  return `fd${hex.slice(0, 2)}:${hex.slice(2, 6)}:${hex.slice(6, 10)}:1::/64`;
}

async function build(report: Report, services: string[], variant: string): Promise<void> {
  for (const service of services) {
    await report.step(`${service}: its image is built`, () => buildImage(service, { VARIANT: variant }));
  }
}

async function openProject(
  report: Report,
  containers: Containers,
  services: string[],
  { checkout, draining }: SimulationOptions,
): Promise<Project> {
  const { variables, hosts } = await report.step("Postgres, Redis and R2 answer", () => startManaged(containers));
  const workers = services.filter((name) => name.startsWith("worker-"));
  return new Project({
    containers,
    services,
    variables,
    hosts,
    images: checkout === undefined ? builtImages : fromCheckout(checkout),
    // Two of everything that may be two, and not the patience of a real deployment.
    overrides: {
      worker: { numReplicas: 2, drainingSeconds: draining },
      gateway: { overlapSeconds: 5 },
      notifier: { numReplicas: 2, overlapSeconds: 2 },
    },
    extra: Object.fromEntries(workers.map((name) => [name, workerSettings(name, draining)])),
  });
}

function workerSettings(service: string, draining: number): Record<string, string> {
  return {
    DRAIN_S: String(draining),
    DRAIN_GRACE_S: String(SAVING_S),
    // All containers share this machine's cores: a trainer that stood back would wait for those of the others.
    TRAINER_NICE: "0",
    // One framework as with a Redis that makes no users: its trainers tell their events to the gateway.
    ...(service === "worker-huggingface" ? { EVENTS_MODE: "http" } : {}),
  };
}

async function run(
  report: Report,
  containers: Containers,
  project: Project,
  { cases, draining, brief }: SimulationOptions,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "vp-railway-"));
  let viewers: Viewers | undefined;
  try {
    const began = Date.now();
    await report.step(
      "every service is deployed and healthy",
      () => Promise.all(project.services.map((service) => project.deploy(service))),
      () => project.services.join(" · "),
    );
    const deploying = (Date.now() - began) / 1000;
    await report.step(
      "containers share nothing, see no engine, and reach Postgres, Redis and R2 over IPv6 alone",
      () => checkIsolation(project, containers),
      (count) => `${count} containers`,
    );
    const gateway = await project.publicUrl("gateway");
    const person = await report.step("a person registers", () => register(gateway));
    const notifiers = project.active("notifier").replicas.map((_, index) => project.publicUrl("notifier", index));
    const watching = new Viewers(await Promise.all(notifiers), person);
    viewers = watching;

    const trained: { job: Job; place: Place }[] = [];
    for (const example of cases) trained.push(await trainAndUse(report, person, watching, example, folder, brief));
    const [first] = trained;
    const [example] = cases;
    if (!first || !example) return;
    const { place } = first;
    if (!brief) {
      await report.step(
        "a training is cancelled in the middle",
        () => cancelInTheMiddle(person, watching, place, example),
        (seconds) => `over after ${seconds.toFixed(1)} s`,
      );
    }
    const pace = secondsPerEpoch(await allEvents(person, first.job.id));
    await report.step(
      "everything is deployed again while trainings run",
      () => redeployWhileTraining({ project, person, viewers: watching, place, example, pace, deploying, draining }),
      ({ drained, resumed }) =>
        `given back at epoch ${resumed.before} of ${resumed.epochs}, taken up at ${resumed.after}; drained in ` +
        drained.map(({ service, seconds }) => `${service} ${seconds} s`).join(", "),
    );
    await report.step(
      "every job is over, its attempts and events are numbered without a gap",
      () => checkAllRecords(person),
      ({ jobs, events }) => `${jobs} jobs, ${events} events`,
    );
    await report.step(
      "each viewer, at either notifier, applied every event once and in order",
      () => watching.sawEverything(person),
      ({ events, repeats }) => `${events} events; ${repeats} came again after a reconnect and were dropped`,
    );
    await report.step("no trainer is left", async () => {
      const left = await trainersLeft(project, containers);
      expect(left.length === 0, `no process of a trainer, found ${left.join(", ")}`);
    });
  } finally {
    viewers?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function trainAndUse(
  report: Report,
  person: Person,
  viewers: Viewers,
  example: Case,
  folder: string,
  brief: boolean,
): Promise<{ job: Job; place: Place }> {
  const { framework } = example;
  const place = await report.step(`${framework}: images become a dataset`, () => upload(person, example, folder));
  const job = await report.step(
    `${framework}: two trainings at once, one on each worker`,
    () => trainTwice(person, viewers, place, example),
    ({ primary_metric, metrics }) => `${primary_metric?.name} ${metrics[primary_metric?.name ?? ""]}`,
  );
  if (!brief) await report.step(`${framework}: evaluate, predict, export`, () => useModel(person, job));
  return { job, place };
}

/** The logs of all containers, for whoever wants to know why. */
async function keepLogs(project: Project, containers: Containers): Promise<string> {
  rmSync(LOGS, { recursive: true, force: true });
  mkdirSync(LOGS, { recursive: true });
  for (const { name } of project.services.flatMap((service) => project.replicasOf(service))) {
    writeFileSync(join(LOGS, `${name}.log`), await containers.logs(name).catch(String));
  }
  return LOGS;
}
