/** The worker's settings; the one place that reads the environment. */
import { resolve } from "node:path";
import { loadConfig, setting, storageSettings } from "@vision-platform/common/config";
import { FrameworkName } from "@vision-platform/contracts/trainer-manifest";
import { z } from "zod";

const seconds = z.coerce.number().min(0.05);
const folder = z
  .string()
  .min(1)
  .transform((path) => resolve(path));

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
  TRAINER_ENVS_DIR: folder.describe("the folder that holds <framework>/bin/python"),
  EVENTS_MODE: z.enum(["auto", "redis", "http"]).default("auto").describe("auto, redis or http"),
  LOG_LEVEL: setting.logLevel,
  DEVICE: z
    .string()
    .regex(/^(auto|cpu|cuda(:\d{1,2})?)$/)
    .default("auto")
    .describe("auto, cpu, cuda or cuda:<n>"),
  CUDA_VISIBLE_DEVICES: z.string().optional().describe("the GPUs that trainers may see, such as 0,1"),
  HEARTBEAT_S: seconds.default(10).describe("seconds between a trainer's heartbeats"),
  GRACE_S: seconds.default(30).describe("seconds a trainer has to save and end after SIGTERM"),
  DRAIN_GRACE_S: seconds.max(7).default(7).describe("the same when the worker itself is stopped, at most 7"),
  MAX_RUNTIME_S: seconds.default(604_800).describe("seconds an attempt may take at most"),
  CHECKPOINT_EVERY_S: seconds.default(300).describe("seconds between checkpoints within an epoch"),
  ALLOW_NETWORK: setting.flag.default(false),
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
