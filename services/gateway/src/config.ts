/** The gateway's settings: the only place that reads its environment. */
import { loadConfig, setting, storageSettings } from "@vision-platform/common/config";
import { z } from "zod";

/** The items of `a, b`. */
function commaList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

const schema = z.object({
  PORT: setting.port,
  HOST: setting.host,
  DATABASE_URL: setting.postgresUrl,
  REDIS_URL: setting.redisUrl,
  ...storageSettings,
  S3_PUBLIC_ENDPOINT: setting.httpUrl
    .optional()
    .describe("the storage's address as browsers see it (default: S3_ENDPOINT)"),
  JWT_SECRET: setting.secret,
  INTERNAL_TOKEN: setting.secret,
  PUBLIC_URL: setting.httpUrl
    .optional()
    .describe("the gateway's address as people see it, such as https://vision.example.org"),
  REGISTRATION: z.enum(["open", "closed"]).default("open").describe("open or closed"),
  TRAINERS_DIR: z.string().min(1).describe("the folder with <framework>/trainer.json"),
  ENABLED_FRAMEWORKS: z
    .string()
    .default("")
    .transform(commaList)
    .describe("frameworks to turn on that are off by themselves, separated by commas, such as ultralytics"),
  CORS_ORIGINS: z
    .string()
    .default("")
    .transform(commaList)
    .describe("origins that may call from a browser, separated by commas"),
  TRUST_PROXY: z.coerce.number().int().min(0).max(10).default(0).describe("how many proxies stand in front (0 to 10)"),
  LOGIN_LIMIT: z.coerce
    .number()
    .int()
    .min(1)
    .default(10)
    .describe("failed sign-ins per address and e-mail in 15 minutes"),
  REGISTER_LIMIT: z.coerce.number().int().min(1).default(30).describe("new accounts per address in 15 minutes"),
  MLFLOW_TRACKING_URI: setting.httpUrl.optional().describe("an MLflow server that is told of every training"),
  MLFLOW_TRACKING_USERNAME: z.string().optional().describe("for MLflow's basic authentication"),
  MLFLOW_TRACKING_PASSWORD: z.string().optional().describe("for MLflow's basic authentication"),
  MLFLOW_TRACKING_TOKEN: z.string().optional().describe("sent to MLflow as a bearer token"),
  LOG_LEVEL: setting.logLevel,
});
export type GatewayConfig = z.output<typeof schema>;

/** Throws ConfigError, which names every wrong variable. */
export function readConfig(environment: Record<string, string | undefined> = process.env): GatewayConfig {
  return loadConfig("gateway", schema, environment);
}

const testSchema = z.object({
  TEST_DATABASE_URL: setting.postgresUrl,
  TEST_REDIS_URL: setting.redisUrl,
  TEST_S3_ENDPOINT: setting.httpUrl,
  TEST_S3_ACCESS_KEY_ID: z.string().describe("set by the test run"),
  TEST_S3_SECRET_ACCESS_KEY: z.string().describe("set by the test run"),
  TEST_S3_BUCKET: z.string().describe("set by the test run"),
  TEST_LOG_LEVEL: z.string().default("silent").describe("a pino level"),
});

/** The servers of a test run; see deploy/laptop/src/test-services.ts. Throws ConfigError outside of one. */
export function testServices(): z.output<typeof testSchema> {
  return loadConfig("gateway tests", testSchema, process.env);
}
