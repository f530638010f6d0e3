/** The worker's settings; the one place that reads the environment. */
import { resolve } from "node:path";
import { loadConfig, setting, storageSettings } from "@vision-platform/common/config";
import { PLATFORM_VERSION } from "@vision-platform/common/version";
import { LAUNCHER_NAMES } from "@vision-platform/contracts/api/workers";
import { FrameworkName } from "@vision-platform/contracts/trainer-manifest";
import { z } from "zod";
import { dockerSettings } from "./launchers/docker/settings.ts";
import { kubernetesSettings } from "./launchers/kubernetes/settings.ts";

const seconds = z.coerce.number().min(0.05);
const folder = z
  .string()
  .min(1)
  .transform((path) => resolve(path));

/** How trainers are started, and how they reach what the worker reaches under other names. */
const trainerSettings = {
  TRAINING_EXECUTION_MODE: z
    .enum([...LAUNCHER_NAMES, "auto"])
    .default("auto")
    .describe("subprocess, docker, kubernetes or auto"),
  IMAGE_REGISTRY: z
    .string()
    .regex(/^([a-z0-9][a-z0-9._:/-]*\/)?$/)
    .default("")
    .describe(
      "nothing, or what stands in front of the images' names, with its slash, such as registry.example.org/team/",
    ),
  IMAGE_TAG: z
    .string()
    .regex(/^\w[\w.-]{0,127}$/)
    .refine((tag) => tag !== "latest")
    .default(PLATFORM_VERSION)
    .describe("a tag such as 0.1.0, never latest"),
  KEEP_TRAINERS: setting.flag
    .default(true)
    .describe("true or false: whether containers and Jobs go on when their worker is stopped"),
  TRAINER_GATEWAY_URL: setting.httpUrl.optional(),
  TRAINER_REDIS_URL: setting.redisUrl.optional(),
  TRAINER_S3_ENDPOINT: setting.httpUrl.optional(),
  TRAINER_CPUS: z.coerce.number().min(0.1).max(1024).optional().describe("processor cores per trainer, such as 4"),
  TRAINER_SHM_BYTES: z.coerce
    .number()
    .int()
    .min(67_108_864)
    .default(1_073_741_824)
    .describe("bytes of shared memory per trainer in a container, at least 64 MiB"),
};

const schema = z.object({
  FRAMEWORK: FrameworkName.describe("the framework whose queue is worked on, such as timm"),
  PORT: setting.port.default(0),
  HOST: setting.host,
  GATEWAY_URL: setting.httpUrl,
  INTERNAL_TOKEN: setting.secret,
  REDIS_URL: setting.redisUrl,
  ...storageSettings,
  SLOTS: z.coerce.number().int().min(1).max(64).default(1).describe("how many trainings run at once, 1 to 64"),
  WORK_DIR: folder.describe("a folder for the files of running attempts"),
  TRAINERS_DIR: folder.describe("the folder that holds <framework>/trainer.json"),
  TRAINER_ENVS_DIR: folder.optional().describe("the folder that holds <framework>/bin/python"),
  ...trainerSettings,
  ...dockerSettings,
  ...kubernetesSettings,
  EVENTS_MODE: z.enum(["auto", "redis", "http"]).default("auto").describe("auto, redis or http"),
  LOG_LEVEL: setting.logLevel,
  DEVICE: z
    .string()
    .regex(/^(auto|cpu|cuda(:\d{1,2})?)$/)
    .default("auto")
    .describe("auto, cpu, cuda or cuda:<n>"),
  GPUS: z
    .string()
    .regex(/^(auto|none|[\w-]+(,[\w-]+)*)$/)
    .default("auto")
    .describe("auto, none, or a list of indexes and ids such as 0,1 or GPU-…,MIG-…"),
  CUDA_VISIBLE_DEVICES: z.string().optional().describe("the GPUs that trainers may see, such as 0,1"),
  HEARTBEAT_S: seconds.default(10).describe("seconds between a trainer's heartbeats"),
  GRACE_S: seconds.default(30).describe("seconds a trainer has to save and end after SIGTERM"),
  DRAIN_S: z.coerce
    .number()
    .min(10)
    .max(86_400)
    .default(10)
    .describe("seconds that the host gives a worker between SIGTERM and SIGKILL, 10 to 86400"),
  DRAIN_GRACE_S: seconds
    .max(3_600)
    .default(7)
    .describe("of these, how many a trainer has to save and end; at least three less, at most 3600"),
  MAX_RUNTIME_S: seconds.default(604_800).describe("seconds an attempt may take at most"),
  CHECKPOINT_EVERY_S: seconds.default(300).describe("seconds between checkpoints within an epoch"),
  ALLOW_NETWORK: setting.flag.default(false),
  GIT_SSL_CAINFO: folder
    .optional()
    .describe("a PEM file with your own certificate authorities, for trainers that fetch from git servers"),
  MAX_MEMORY_BYTES: z.coerce
    .number()
    .int()
    .min(67_108_864)
    .optional()
    .describe("bytes of memory per trainer process, at least 64 MiB"),
  TRAINER_NICE: z.coerce
    .number()
    .int()
    .min(0)
    .max(19)
    .default(5)
    .describe("how far trainers stand back for other processes, 0 to 19"),
});
export type WorkerConfig = z.output<typeof schema>;

/** Throws ConfigError with a line for each wrong variable. */
export function readConfig(environment: Record<string, string | undefined> = process.env): WorkerConfig {
  return loadConfig("worker", schema, environment);
}
