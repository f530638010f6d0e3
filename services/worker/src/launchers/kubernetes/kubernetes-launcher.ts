/** Trainers as Kubernetes Jobs: one Job, one pod, one Secret an attempt. */
import { posix } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { V1Job } from "@kubernetes/client-node";
import type { Logger } from "@vision-platform/common/logger";
import type { WorkerConfig } from "../../config.ts";
import type { AttemptDirectory } from "../../supervision/attempt-directory.ts";
import { type AttemptIds, LaunchError, type Launcher, type LaunchSpec, type Trainer } from "../launcher.ts";
import { attemptObjectName } from "../platform-instance.ts";
import { type Cluster, connectCluster, ifThere, patiently, reasonOf, statusOf } from "./cluster.ts";
import { FOLDERS, graceSeconds, jobObject, secretObject } from "./job-object.ts";
import { attemptOf, type Scope, selector } from "./names.ts";
import { createPodWatch } from "./pod-watch.ts";
import { untilStarted } from "./starting.ts";
import { followTrainerPod, type TrainerPod } from "./trainer-pod.ts";
import { readSettings } from "./trainer-settings.ts";
import { sendTerm } from "./trainer-signal.ts";

/** Where trainers' programs lie in every image. */
const PROGRAMS = "/opt/vision-platform/trainers";
/** Kubernetes kills two seconds after a deletion at the earliest, and then has to tell. */
const KILL_LIMIT_MS = 60_000;
const REMOVE_LIMIT_MS = 60_000;
const POLL_MS = 150;
/** Conditions of a Job that is over. */
const ENDS = ["Failed", "Complete"];

/** A program named by a relative path lies in the trainer's own folder. */
function inImage(spec: LaunchSpec): LaunchSpec {
  const [program = "", ...args] = spec.command;
  if (!program.startsWith(".")) return spec;
  return { ...spec, command: [posix.join(PROGRAMS, spec.framework, program), ...args] };
}

function createJobs(cluster: Cluster) {
  const { batch, core, namespace } = cluster;
  return {
    read: (name: string) => patiently(() => ifThere(batch.readNamespacedJob({ name, namespace }))),
    create: (body: V1Job, signal: AbortSignal) =>
      patiently(async () => {
        try {
          return { job: await batch.createNamespacedJob({ namespace, body }), fresh: true };
        } catch (error) {
          if (statusOf(error) !== 409) throw error;
          const name = body.metadata?.name ?? "";
          return { job: await batch.readNamespacedJob({ name, namespace }), fresh: false };
        }
      }, signal),
    addSecret: (scope: Scope, spec: LaunchSpec, uid: string) =>
      patiently(async () => {
        try {
          await core.createNamespacedSecret({ namespace, body: secretObject(scope, spec, uid) });
        } catch (error) {
          if (statusOf(error) !== 409) throw error;
        }
      }, spec.signal),
    deletePod: (name: string, gracePeriodSeconds: number) =>
      patiently(() => ifThere(core.deleteNamespacedPod({ name, namespace, gracePeriodSeconds }))),
    /** In the foreground: the Job is there until its pod is gone. Its Secret goes with it. */
    remove: (name: string) =>
      patiently(() => ifThere(batch.deleteNamespacedJob({ name, namespace, propagationPolicy: "Foreground" }))),
    async untilRemoved(name: string): Promise<void> {
      for (const deadline = Date.now() + REMOVE_LIMIT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
        if ((await patiently(() => ifThere(batch.readNamespacedJob({ name, namespace })))) === undefined) return;
      }
      throw new Error(`the Job ${name} is still there ${REMOVE_LIMIT_MS / 1000} s after its deletion`);
    },
    list: (labelSelector: string) => batch.listNamespacedJob({ namespace, labelSelector }),
  };
}

/** Throws ConfigError for a wrong settings file, LaunchError when no cluster is named. */
export function createKubernetesLauncher(config: WorkerConfig, logger: Logger): Launcher {
  const settings = readSettings(config.KUBERNETES_SETTINGS_FILE);
  const cluster = connectCluster(config.KUBERNETES_NAMESPACE);
  const scope: Scope = { instance: config.PLATFORM_INSTANCE, framework: config.FRAMEWORK };
  const watch = createPodWatch(cluster, selector(scope), logger);
  const jobs = createJobs(cluster);

  function follow(ids: AttemptIds, job: V1Job, directory: AttemptDirectory): TrainerPod {
    const identity = attemptOf(job.metadata)?.identity ?? { marker: "", handle: job.metadata?.uid ?? null };
    const logLimitBytes = settings.log_limit_bytes;
    return followTrainerPod({
      cluster,
      watch,
      jobName: attemptObjectName(scope.instance, ids),
      ids,
      identity,
      directory,
      logLimitBytes,
      logger,
    });
  }

  /** Nothing may be left of a launch that failed. */
  async function undo(trainer: TrainerPod): Promise<void> {
    trainer.expectKill();
    await jobs.remove(trainer.jobName);
    const pod = trainer.pod()?.metadata?.name;
    if (pod !== undefined && !trainer.isOver()) await jobs.deletePod(pod, 1);
    await jobs.untilRemoved(trainer.jobName);
    trainer.close();
  }

  async function launch(spec: LaunchSpec): Promise<Trainer> {
    const { job, fresh } = await jobs.create(jobObject(scope, spec, settings), spec.signal);
    if (!fresh) logger.info({ job: job.metadata?.name }, "the attempt has a Job already: it is taken over");
    const trainer = follow({ job_id: spec.job_id, attempt: spec.attempt }, job, spec.directory);
    try {
      if (fresh) await jobs.addSecret(scope, spec, job.metadata?.uid ?? "");
      await untilStarted(cluster, trainer, spec, settings);
    } catch (error) {
      await undo(trainer).catch((left: unknown) =>
        logger.warn({ err: left }, "a Job that did not start was not removed"),
      );
      throw error;
    }
    return trainer;
  }

  async function kill(trainer: TrainerPod): Promise<void> {
    trainer.expectKill();
    const name = trainer.pod()?.metadata?.name;
    if (name === undefined) await jobs.remove(trainer.jobName);
    else if (!trainer.isOver()) await jobs.deletePod(name, 1);
    for (const deadline = Date.now() + KILL_LIMIT_MS; !trainer.isOver(); await trainer.news(POLL_MS)) {
      if (Date.now() > deadline)
        throw new Error(`the pod ${name} is still there ${KILL_LIMIT_MS / 1000} s after its end`);
      if (name === undefined && (await jobs.read(trainer.jobName)) === undefined) trainer.vanished();
    }
  }

  /** Its worker may have died before the trainer ran: the limits of waiting hold all the same. */
  function finishStart(trainer: TrainerPod): void {
    const unheard = { signal: new AbortController().signal, onWaiting: () => undefined };
    untilStarted(cluster, trainer, unheard, settings)
      .catch(async (error: unknown) => {
        logger.warn({ err: error, job: trainer.jobName }, "an adopted trainer does not start: it is ended");
        await kill(trainer);
      })
      .catch((error: unknown) => logger.warn({ err: error, job: trainer.jobName }, "a pod was not ended"));
  }

  async function ask(trainer: TrainerPod): Promise<void> {
    if (trainer.isOver()) return;
    const pod = trainer.pod();
    const name = pod?.metadata?.name;
    const told = name === undefined ? { refused: "it has no pod yet" } : await sendTerm(cluster, name);
    if (typeof told === "string" || trainer.isOver()) return;
    logger.warn(
      { job: trainer.jobName, reason: told.refused },
      "SIGTERM was not delivered inside the pod: it is deleted",
    );
    trainer.expectKill();
    if (name === undefined) await jobs.remove(trainer.jobName);
    else await jobs.deletePod(name, pod?.spec?.terminationGracePeriodSeconds ?? graceSeconds({ env: {} }));
  }

  return {
    name: "kubernetes",
    outlivesWorker: true,
    // The PATH is the image's own.
    surroundings: () => ({
      HOME: FOLDERS.work,
      TMPDIR: FOLDERS.tmp,
      CACHE_DIR: FOLDERS.cache,
    }),
    async find() {
      const { items } = await jobs.list(selector(scope));
      return items
        .filter(({ metadata }) => metadata?.deletionTimestamp === undefined)
        .map(({ metadata }) => attemptOf(metadata))
        .filter((found) => found !== null);
    },
    async launch(spec) {
      try {
        return await launch(inImage(spec));
      } catch (error) {
        if (error instanceof LaunchError) throw error;
        throw new LaunchError("LAUNCH_FAILED", `Kubernetes did not take the Job: ${reasonOf(error)}`, error);
      }
    },
    async adopt(ids, identity, directory) {
      const name = attemptObjectName(scope.instance, ids);
      const job = await jobs.read(name);
      if (job === undefined || attemptOf(job.metadata)?.identity.marker !== identity.marker) return null;
      if (job.metadata?.deletionTimestamp !== undefined) return null;
      const trainer = follow(ids, job, directory);
      const ends = job.status?.conditions?.filter(({ type, status }) => ENDS.includes(type) && status === "True");
      // A finished Job without a pod has nothing more to tell.
      if (ends?.length && !trainer.pod()) await trainer.news(2_000).then(() => trainer.pod() ?? trainer.vanished());
      finishStart(trainer);
      return trainer;
    },
    stop: (trainer, signal) => (signal === "SIGKILL" ? kill(trainer as TrainerPod) : ask(trainer as TrainerPod)),
    wait: (trainer) => (trainer as TrainerPod).exit,
    async remove(trainer) {
      const followed = trainer as TrainerPod;
      await jobs.remove(followed.jobName);
      await jobs.untilRemoved(followed.jobName);
      followed.close();
    },
  };
}
