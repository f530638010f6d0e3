import { ConfigError } from "@vision-platform/common/config";
import { expect, it } from "vitest";
import { readConfig } from "./config.ts";

const GOOD = {
  FRAMEWORK: "timm",
  GATEWAY_URL: "http://127.0.0.1:8080",
  INTERNAL_TOKEN: "t".repeat(32),
  REDIS_URL: "redis://:pa55word@127.0.0.1:6379",
  S3_ENDPOINT: "http://127.0.0.1:9000",
  S3_ACCESS_KEY_ID: "id",
  S3_SECRET_ACCESS_KEY: "a-secret-value",
  STORAGE_BUCKET: "bucket",
  WORK_DIR: "work",
  TRAINERS_DIR: "trainers",
  TRAINER_ENVS_DIR: "envs",
};

it("has a default for all that need not be said, and makes folders absolute", () => {
  const config = readConfig(GOOD);
  expect(config).toMatchObject({ SLOTS: 1, EVENTS_MODE: "auto", GRACE_S: 30, DEVICE: "auto", ALLOW_NETWORK: false });
  expect(config.WORK_DIR).toMatch(/^\/.*\/work$/);
});

it.each([
  ["FRAMEWORK", "Not A Name"],
  ["GATEWAY_URL", "somewhere"],
  ["INTERNAL_TOKEN", "short"],
  ["REDIS_URL", "http://redis"],
  ["SLOTS", "0"],
  ["WORK_DIR", ""],
  ["EVENTS_MODE", "stdout"],
  ["DEVICE", "tpu"],
  ["DRAIN_S", "5"],
  ["DRAIN_GRACE_S", "4000"],
  ["MAX_MEMORY_BYTES", "1"],
])("names %s when it is wrong, without a secret", (name, value) => {
  const reading = () => readConfig({ ...GOOD, [name]: value });
  expect(reading).toThrow(ConfigError);
  expect(reading).toThrow(new RegExp(`^worker cannot start:\n  ${name}: .*expected`));
  expect(reading).not.toThrow(/a-secret-value|pa55word/);
});
