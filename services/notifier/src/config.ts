/** The notifier's settings; the one place that reads the environment. */
import { loadConfig, setting } from "@vision-platform/common/config";
import { z } from "zod";

const schema = z.object({
  PORT: setting.port.default(8090),
  HOST: setting.host,
  REDIS_URL: setting.redisUrl,
  GATEWAY_URL: setting.httpUrl,
  INTERNAL_TOKEN: setting.secret,
  LOG_LEVEL: setting.logLevel,
});
export type NotifierConfig = z.output<typeof schema>;

/** Throws ConfigError with a line for each wrong variable. */
export function readConfig(environment: Record<string, string | undefined> = process.env): NotifierConfig {
  return loadConfig("notifier", schema, environment);
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
export function testServices(): z.output<typeof testSchema> & { PATH: string } {
  return { ...loadConfig("notifier tests", testSchema, process.env), PATH: process.env.PATH ?? "" };
}
