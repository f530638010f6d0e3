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
import { createStreamAccess } from "./events/stream-access.ts";
import { type Heartbeat, startHeartbeat } from "./heartbeat.ts";
import { startIntake } from "./intake/queue-intake.ts";
import { threadsPerTrainer } from "./launchers/cpu-share.ts";
import { createSubprocessLauncher } from "./launchers/subprocess.ts";
import { createTrainerCommands } from "./launchers/trainer-command.ts";
import { createAttemptRecords } from "./records/attempt-record.ts";
import { recoverOrphans } from "./records/recovery.ts";
import { cacheFolder } from "./supervision/attempt-directory.ts";
import { createSupervisor, type Supervisor } from "./supervision/supervisor.ts";
import { createWorkerMetrics } from "./worker-metrics.ts";
import type { WorkerParts } from "./worker-parts.ts";

/** After this much of its ten seconds a stopping worker waits for nothing more. */
const STOP_LIMIT_MS = 8_400;
/** A read must fail rather than hang when its connection died in silence. */
const READER_OPTIONS = { maxRetriesPerRequest: 1, commandTimeout: 5_000 };

export interface WorkerService {
  /** Where /health, /ready and /metrics are. */
  port: number;
  workerId: string;
  /** Trainers save and end (7 s), their attempts are given back; at most about 8.5 s. */
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
    parts.commandFor(parts.config.FRAMEWORK === "dataset" ? "ingest" : "train");
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

function makeParts(config: WorkerConfig, logger: Logger): Omit<WorkerParts, "metrics" | "outOfTime"> {
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
    access: createStreamAccess(redis, config.REDIS_URL, config.EVENTS_MODE, logger),
    launcher: createSubprocessLauncher(),
    commandFor: createTrainerCommands(config),
    records: createAttemptRecords(config.WORK_DIR),
    threads: threadsPerTrainer(config.SLOTS),
    logger,
  };
}

/**
 * Starts a worker of one framework: ends what dead workers of this host left behind, then takes jobs.
 * Rejects when the port is taken or WORK_DIR cannot be written; everything else it waits for.
 */
export async function startWorker(config: WorkerConfig, logger: Logger): Promise<WorkerService> {
  const time = new AbortController();
  const base = makeParts(config, logger);
  let supervisor: Supervisor | undefined;
  let heartbeat: Heartbeat | undefined;
  const health = createHealth(
    "worker",
    checks(base, () => heartbeat),
  );
  const metrics = createWorkerMetrics(health.registry, () => supervisor?.busy ?? 0);
  const parts: WorkerParts = { ...base, metrics, outOfTime: time.signal };

  const server = createServer(express().disable("x-powered-by").use(health.router));
  const port = await listen(server, config.PORT, config.HOST);
  const running = createSupervisor(parts);
  supervisor = running;
  heartbeat = startHeartbeat(parts, () => running.busy);

  warmUp(parts);
  const orphans = await recoverOrphans(parts);
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

  return {
    port,
    workerId: parts.workerId,
    async stop() {
      const limit = setTimeout(() => time.abort(), STOP_LIMIT_MS);
      health.startDraining();
      running.preemptAll();
      await Promise.all([intake.close(), heartbeat.stop(), orphans.reported, closeServer(server)]);
      clearTimeout(limit);
      for (const connection of [hints, queueRedis, parts.redis]) connection.disconnect();
      parts.s3.destroy();
    },
  };
}
