/** What the rooms of the worker share; made once in worker.ts. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { ApiClient } from "@vision-platform/common/api-client";
import type { Logger } from "@vision-platform/common/logger";
import type { Redis } from "ioredis";
import type { WorkerConfig } from "./config.ts";
import type { StreamAccess } from "./events/stream-access.ts";
import type { Gpus } from "./gpus/gpus.ts";
import type { Launcher } from "./launchers/launcher.ts";
import type { TrainerProgram } from "./launchers/trainer-program.ts";
import type { AttemptRecords } from "./records/attempt-record.ts";
import type { WorkerMetrics } from "./worker-metrics.ts";

export interface WorkerParts {
  config: WorkerConfig;
  /** `<host>/<framework>/<random>`. */
  workerId: string;
  host: string;
  client: ApiClient;
  /** Command connection: fails within seconds when Redis is away. */
  redis: Redis;
  /** A new connection for reads that block; the caller closes it. */
  connectReader: () => Redis;
  s3: S3Client;
  access: StreamAccess;
  launcher: Launcher;
  /** For what an earlier worker of this host started as processes, whatever starts trainers now. */
  processes: Launcher;
  /** Why it is this launcher, in words for people. */
  launcherReason: string;
  program: TrainerProgram;
  records: AttemptRecords;
  /** Processor cores for one trainer. */
  threads: number;
  gpus: Gpus;
  metrics: WorkerMetrics;
  logger: Logger;
  /** Aborted when a worker that is being stopped has no more time. */
  outOfTime: AbortSignal;
}
