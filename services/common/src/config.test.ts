import { describe, expect, it } from "vitest";
import { z } from "zod";
import { loadConfig, readTracingSettings, setting, storageSettings } from "./config.ts";

const schema = z.object({
  PORT: setting.port,
  REDIS_URL: setting.redisUrl,
  JWT_SECRET: setting.secret,
  ...storageSettings,
});
const good = {
  PORT: "8080",
  REDIS_URL: "redis://:pw@127.0.0.1:6379",
  JWT_SECRET: "x".repeat(32),
  STORAGE_BUCKET: "vision",
  S3_ENDPOINT: "http://127.0.0.1:9000",
  S3_ACCESS_KEY_ID: "id",
  S3_SECRET_ACCESS_KEY: "key",
};

describe("loadConfig", () => {
  it("reads numbers, flags and defaults", () => {
    const config = loadConfig("gateway", schema, { ...good, S3_FORCE_PATH_STYLE: "false", OTHER: "ignored" });
    expect(config).toMatchObject({
      PORT: 8080,
      S3_REGION: "us-east-1",
      S3_FORCE_PATH_STYLE: false,
      STORAGE_TYPE: "s3",
    });
  });

  it.each([
    ["PORT", "eighty", 'PORT: found "eighty"; expected a port number from 0 (any free one) to 65535'],
    ["PORT", undefined, "PORT: it is not set; expected a port number from 0 (any free one) to 65535"],
    ["S3_ENDPOINT", "minio:9000", 'S3_ENDPOINT: found "minio:9000"; expected an address such as http://127.0.0.1:8080'],
    ["STORAGE_TYPE", "ftp", 'STORAGE_TYPE: found "ftp"; expected minio, r2 or s3'],
    ["S3_FORCE_PATH_STYLE", "yes", 'S3_FORCE_PATH_STYLE: found "yes"; expected true or false'],
    ["STORAGE_BUCKET", "", "STORAGE_BUCKET: it is not set; expected the name of the bucket"],
  ])("names %s=%s, what was found and what is expected", (name, value, line) => {
    expect(() => loadConfig("gateway", schema, { ...good, [name]: value })).toThrow(`gateway cannot start:\n  ${line}`);
  });

  it("names every wrong variable at once, and no secret's value", () => {
    const wrong = { ...good, JWT_SECRET: "hunter2", REDIS_URL: "http://:hunter2@h", PORT: "-1" };
    const message = (() => {
      try {
        loadConfig("gateway", schema, wrong);
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(message.split("\n")).toHaveLength(4);
    expect(message).toContain("JWT_SECRET: a value of 7 characters was found; expected a random secret");
    expect(message).not.toContain("hunter2");
  });
});

describe("readTracingSettings", () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" };

  it.each([
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: "" },
    { OTEL_TRACES_SAMPLER: "nonsense" },
    { ...endpoint, OTEL_SDK_DISABLED: "true" },
    { ...endpoint, OTEL_TRACES_EXPORTER: "none" },
  ])("wants no traces with %s", (environment) => {
    expect(readTracingSettings(environment)).toBeUndefined();
  });

  it("reads OpenTelemetry's own variables", () => {
    const sampler = { OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" };
    expect(readTracingSettings({ ...endpoint, ...sampler, OTEL_BSP_SCHEDULE_DELAY: "100" })).toEqual({
      endpoint: "http://127.0.0.1:4318",
      sampler: "parentbased_traceidratio",
      ratio: 0.25,
      schedule_ms: 100,
      queue: 2048,
    });
  });

  it("says which port to give when it is told to speak gRPC", () => {
    expect(() => readTracingSettings({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" })).toThrow(
      'OTEL_EXPORTER_OTLP_PROTOCOL: found "grpc"; expected http/json (gRPC is not spoken',
    );
  });
});
