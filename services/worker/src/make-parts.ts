/** The parts that the rooms of a worker share, made from its settings. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createApiClient } from "@vision-platform/common/api-client";
import type { Logger } from "@vision-platform/common/logger";
import { connectRedis } from "@vision-platform/common/redis";
import { createS3Client } from "@vision-platform/common/s3";
import type { WorkerConfig } from "./config.ts";
import { createStreamAccess } from "./events/stream-access.ts";
import { clusterGpus, type Gpus, noGpus, watchGpus } from "./gpus/gpus.ts";
import type { chooseLauncher } from "./launchers/choose-launcher.ts";
import { threadsPerTrainer } from "./launchers/cpu-share.ts";
import { createSubprocessLauncher } from "./launchers/subprocess.ts";
import { createTrainerProgram, type TrainerProgram } from "./launchers/trainer-program.ts";
import { createAttemptRecords } from "./records/attempt-record.ts";
import type { WorkerParts } from "./worker-parts.ts";

/** A read must fail rather than hang when its connection died in silence. */
const READER_OPTIONS = { maxRetriesPerRequest: 1, commandTimeout: 5_000 };

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

/** A process sees every address as its worker does; TRAINER_* are those of containers. */
function asOurselves(settings: WorkerConfig): WorkerConfig {
  const seen = { TRAINER_GATEWAY_URL: undefined, TRAINER_REDIS_URL: undefined, TRAINER_S3_ENDPOINT: undefined };
  return { ...settings, ...seen };
}

/** Chooses the launcher and looks for GPUs; what is a connection connects by itself. Rejects as chooseLauncher does. */
export async function makeParts(
  settings: WorkerConfig,
  logger: Logger,
  choose: typeof chooseLauncher,
): Promise<Omit<WorkerParts, "metrics" | "outOfTime">> {
  const program = createTrainerProgram(settings);
  const { launcher, reason } = await choose(settings, program.image, logger);
  const config = launcher.name === "subprocess" ? asOurselves(settings) : settings;
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
