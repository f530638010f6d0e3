/** The environments that tests and the script trainer read. */
import { loadConfig, setting, storageSettings } from "@vision-platform/common/config";
import { z } from "zod";
import { Script } from "./script.ts";

const trainerSchema = z.object({
  JOB_ID: z.coerce.number().int(),
  ATTEMPT: z.coerce.number().int(),
  JOB_KIND: z.enum(["ingest", "train", "evaluate", "predict", "export"]),
  CONFIG_JSON: z.string().transform((text) => z.object({ script: Script.optional() }).parse(JSON.parse(text))),
  EVENTS_MODE: z.enum(["redis", "http", "stdout"]),
  EVENTS_REDIS_URL: setting.redisUrl.optional(),
  EVENTS_STREAM: z.string().default(""),
  CALLBACK_URL: setting.httpUrl,
  CALLBACK_TOKEN: z.string(),
  OUTPUT_URI: z.string(),
  STOP_REASON_FILE: z.string().optional(),
  ...storageSettings,
});
export type ScriptEnvironment = z.output<typeof trainerSchema>;

/** What the script trainer was given. Throws ConfigError. */
export function readScriptEnvironment(): ScriptEnvironment {
  return loadConfig("script trainer", trainerSchema, process.env);
}

/** Where the detached launcher of tests keeps its trainers. */
export function detachedFolder(): string {
  return loadConfig("detached launcher", z.object({ DETACHED_FOLDER: z.string() }), process.env).DETACHED_FOLDER;
}

/** The whole environment of this process. */
export function wholeEnvironment(): Record<string, string | undefined> {
  return { ...process.env };
}

const testSchema = z.object({
  TEST_DATABASE_URL: setting.postgresUrl,
  TEST_REDIS_URL: setting.redisUrl,
  TEST_S3_ENDPOINT: setting.httpUrl,
  TEST_S3_ACCESS_KEY_ID: z.string().describe("set by the test run"),
  TEST_S3_SECRET_ACCESS_KEY: z.string().describe("set by the test run"),
  TEST_S3_BUCKET: z.string().describe("set by the test run"),
  TEST_LOG_LEVEL: z.string().default("error").describe("a pino level"),
});

/** The servers of a test run; see deploy/laptop/src/test-services.ts. Throws ConfigError outside of one. */
export function testServices(): z.output<typeof testSchema> {
  return loadConfig("worker tests", testSchema, process.env);
}
