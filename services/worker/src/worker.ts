/** The worker service: its parts, put together. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { hostname } from "node:os";
import { createApiClient } from "@vision-platform/common/api-client";
import { createHealth } from "@vision-platform/common/health";
import { closeServer, listen } from "@vision-platform/common/lifecycle";
import type { Logger } from "@vision-platform/common/logger";
import { checkRedis, connectRedis } from "@vision-platform/common/redis";
import { checkBucket, createS3Client } from "@vision-platform/common/s3";
import { CONTROL_CHANNEL } from "@vision-platform/contracts/names";
import express from "express";
import type { Redis } from "ioredis";
import type { WorkerConfig } from "./config.ts";
import { drainPlan, upTo } from "./drain.ts";
import { createStreamAccess } from "./events/stream-access.ts";
import { clusterGpus, type Gpus, noGpus, watchGpus } from "./gpus/gpus.ts";
import { type Heartbeat, startHeartbeat } from "./heartbeat.ts";
import { startIntake } from "./intake/queue-intake.ts";
import { type ChosenLauncher, chooseLauncher } from "./launchers/choose-launcher.ts";
import { threadsPerTrainer } from "./launchers/cpu-share.ts";
import { createSubprocessLauncher } from "./launchers/subprocess.ts";
import { installedCommand } from "./launchers/trainer-command.ts";
import { createTrainerProgram, type TrainerProgram } from "./launchers/trainer-program.ts";
import { createAttemptRecords } from "./records/attempt-record.ts";
import { recoverOrphans } from "./records/recovery.ts";
import { startAdoption } from "./supervision/adoption.ts";
import { cacheFolder } from "./supervision/attempt-directory.ts";
import { createSupervisor, type Supervisor } from "./supervision/supervisor.ts";
import { createWorkerMetrics } from "./worker-metrics.ts";
import type { WorkerParts } from "./worker-parts.ts";

/** A read must fail rather than hang when its connection died in silence. */
const READER_OPTIONS = { maxRetriesPerRequest: 1, commandTimeout: 5_000 };

export interface WorkerService {
  /** Where /health, /ready and /metrics are. */
  port: number;
  workerId: string;
  /**
   * Trainers that outlive their worker go on, and their attempts are released. Others may end in peace where DRAIN_S
   * leaves time for it, then they save and end, and their attempts are given back; shorter than DRAIN_S in all.
   */
  stop(): Promise<void>;
}

/** Cancels reach us with the next renewal at the latest; this makes it at once. */
function followHints(redis: Redis, supervisor: Supervisor): void {
  redis.on("message", (_channel, text) => {
    try {
      const { job_id } = JSON.parse(text) as { job_id?: unknown };
      if (typeof job_id === "number") supervisor.hint(job_id);
    } catch {
      // A hint that cannot be read is none.
    }
  });
  redis.subscribe(CONTROL_CHANNEL).catch(() => undefined);
}

/** What the first attempt would otherwise wait for. A manifest that is wrong is said again with the attempt it fails. */
function warmUp(parts: WorkerParts): void {
  mkdirSync(cacheFolder(parts.config.WORK_DIR), { recursive: true, mode: 0o700 });
  try {
    const kind = parts.config.FRAMEWORK === "dataset" ? "ingest" : "train";
    const command = parts.program.commandFor(kind);
    if (parts.launcher.name === "subprocess") installedCommand(parts.config, command);
  } catch (error) {
    parts.logger.warn({ err: error }, "the trainer cannot be started as it is");
  }
}

/** The gateway's own readiness is not asked for: its accepted heartbeat says that it serves this worker. */
function checks(parts: Pick<WorkerParts, "redis" | "s3" | "config">, heartbeat: () => Heartbeat | undefined) {
  return {
    gateway: async () => heartbeat()?.check(),
    redis: () => checkRedis(parts.redis),
    storage: () => checkBucket(parts.s3, parts.config.STORAGE_BUCKET),
  };
}

/** A manifest that is missing or wrong is said with the attempt that it fails. */
function usesGpus(program: TrainerProgram): boolean {
  try {
    return program.usesGpus();
  } catch {
    return true;
  }
}

async function findGpus(
  config: WorkerConfig,
  program: TrainerProgram,
  launcher: string,
  logger: Logger,
): Promise<Gpus> {
  if (!usesGpus(program)) return noGpus();
  return launcher === "kubernetes" ? clusterGpus() : await watchGpus(config, logger);
}

async function makeParts(
  config: WorkerConfig,
  logger: Logger,
  choose: typeof chooseLauncher,
): Promise<Omit<WorkerParts, "metrics" | "outOfTime">> {
  const program = createTrainerProgram(config);
  const { launcher, reason }: ChosenLauncher = await choose(config, program.image, logger);
  const redis = connectRedis(config.REDIS_URL, "command", { enableOfflineQueue: true });
  const host = hostname();
  return {
    config,
    workerId: `${host}/${config.FRAMEWORK}/${randomBytes(4).toString("hex")}`,
    host,
    client: createApiClient(config.GATEWAY_URL, config.INTERNAL_TOKEN),
    redis,
    connectReader: () => connectRedis(config.REDIS_URL, "blocking", READER_OPTIONS),
    s3: createS3Client(config),
    access: createStreamAccess(
      redis,
      config.TRAINER_REDIS_URL ?? config.REDIS_URL,
      config.EVENTS_MODE,
      config.INTERNAL_TOKEN,
      logger,
    ),
    launcher,
    launcherReason: reason,
    processes: launcher.name === "subprocess" ? launcher : createSubprocessLauncher(config),
    program,
    gpus: await findGpus(config, program, launcher.name, logger),
    records: createAttemptRecords(config.WORK_DIR),
    // Where trainers get cores of their own, those of the worker say nothing.
    threads:
      config.TRAINER_CPUS === undefined
        ? threadsPerTrainer(config.SLOTS)
        : Math.max(1, Math.floor(config.TRAINER_CPUS)),
    logger,
  };
}

/**
 * Starts a worker of one framework: takes over or ends what dead workers left behind, then takes jobs. Rejects when the
 * port is taken, WORK_DIR cannot be written or the launcher's settings are wrong; everything else it waits for.
 */
export async function startWorker(
  config: WorkerConfig,
  logger: Logger,
  choose: typeof chooseLauncher = chooseLauncher,
): Promise<WorkerService> {
  const time = new AbortController();
  const base = await makeParts(config, logger, choose);
  let supervisor: Supervisor | undefined;
  let heartbeat: Heartbeat | undefined;
  const health = createHealth(
    "worker",
    checks(base, () => heartbeat),
    { framework: config.FRAMEWORK },
  );
  const metrics = createWorkerMetrics(health.registry, {
    slots: config.SLOTS,
    folder: config.WORK_DIR,
    busy: () => supervisor?.busy ?? 0,
    gpus: base.gpus.known,
  });
  const parts: WorkerParts = { ...base, metrics, outOfTime: time.signal };

  const server = createServer(express().disable("x-powered-by").use(health.router));
  const port = await listen(server, config.PORT, config.HOST);
  const running = createSupervisor(parts);
  supervisor = running;
  heartbeat = startHeartbeat(parts, () => running.busy);

  warmUp(parts);
  const orphans = await recoverOrphans(parts, running);
  if (orphans.found > 0) logger.warn({ attempts: orphans.found }, "ended what a dead worker left behind");
  const hints = connectRedis(config.REDIS_URL, "blocking");
  followHints(hints, running);
  const queueRedis = connectRedis(config.REDIS_URL, "blocking");
  const intake = startIntake({
    framework: config.FRAMEWORK,
    slots: config.SLOTS,
    redis: queueRedis,
    supervisor: running,
    logger,
  });
  const adoption = startAdoption(parts, running, () => intake.setRoom(config.SLOTS - running.adopted));

  return {
    port,
    workerId: parts.workerId,
    async stop() {
      const plan = drainPlan(config);
      const limit = setTimeout(() => time.abort(), plan.outOfTimeMs);
      health.startDraining();
      heartbeat.startStopping();
      parts.gpus.stop();
      // Takes nothing more, and is closed when what runs is done.
      const done = intake.close();
      // Trainers that live in this very container may end in peace, where there is time; others live on anyway.
      if (!parts.launcher.outlivesWorker || !config.KEEP_TRAINERS) await upTo(plan.finishMs, done);
      await adoption.stop();
      await Promise.all([running.stop(), done, heartbeat.stop(), orphans.reported, closeServer(server)]);
      clearTimeout(limit);
      for (const connection of [hints, queueRedis, parts.redis]) connection.disconnect();
      parts.s3.destroy();
    },
  };
}
