/** The worker service: its parts, put together. */
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { createHealth } from "@vision-platform/common/health";
import { closeServer, listen } from "@vision-platform/common/lifecycle";
import type { Logger } from "@vision-platform/common/logger";
import { checkRedis, connectRedis } from "@vision-platform/common/redis";
import { checkBucket } from "@vision-platform/common/s3";
import { CONTROL_CHANNEL } from "@vision-platform/contracts/names";
import express from "express";
import type { Redis } from "ioredis";
import type { WorkerConfig } from "./config.ts";
import { drainPlan, upTo } from "./drain.ts";
import { type Heartbeat, startHeartbeat } from "./heartbeat.ts";
import { startIntake } from "./intake/queue-intake.ts";
import { chooseLauncher } from "./launchers/choose-launcher.ts";
import { installedCommand } from "./launchers/trainer-command.ts";
import { makeParts } from "./make-parts.ts";
import { recoverOrphans } from "./records/recovery.ts";
import { startAdoption } from "./supervision/adoption.ts";
import { cacheFolder } from "./supervision/attempt-directory.ts";
import { createSupervisor, type Supervisor } from "./supervision/supervisor.ts";
import { createWorkerMetrics } from "./worker-metrics.ts";
import type { WorkerParts } from "./worker-parts.ts";

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
