/** Settings come from the environment, once, through one zod schema per service. */
import { z } from "zod";

/** Thrown with one line for every wrong variable: its name, what was found, what is expected. */
export class ConfigError extends Error {
  constructor(service: string, lines: string[]) {
    super(`${service} cannot start:\n${lines.map((line) => `  ${line}`).join("\n")}`);
    this.name = "ConfigError";
  }
}

const SECRET_NAME = /SECRET|TOKEN|PASSWORD|KEY|DATABASE_URL|REDIS_URL/;

function found(name: string, value: string | undefined): string {
  if (value === undefined || value === "") return "it is not set";
  return SECRET_NAME.test(name) ? `a value of ${value.length} characters was found` : `found ${JSON.stringify(value)}`;
}

/**
 * Parses `environment` by `schema`. Empty strings count as not set.
 * Throws ConfigError; values of secrets are never part of its message.
 */
export function loadConfig<Shape extends z.ZodRawShape>(
  service: string,
  schema: z.ZodObject<Shape>,
  environment: Record<string, string | undefined>,
): z.output<z.ZodObject<Shape>> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ""));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => {
    const name = String(issue.path[0] ?? "");
    const expected = schema.shape[name] instanceof z.ZodType ? schema.shape[name].description : undefined;
    return `${name}: ${found(name, environment[name])}; expected ${expected ?? issue.message}`;
  });
  throw new ConfigError(service, lines);
}

const flag = z.enum(["true", "false"]).transform((value) => value === "true");

/** Building blocks of every service's schema; the description is what the error message says is expected. */
export const setting = {
  port: z.coerce.number().int().min(0).max(65_535).describe("a port number from 0 (any free one) to 65535"),
  host: z.string().default("127.0.0.1").describe("an address to listen on, such as 127.0.0.1 or ::"),
  httpUrl: z.url({ protocol: /^https?$/ }).describe("an address such as http://127.0.0.1:8080"),
  redisUrl: z.url({ protocol: /^rediss?$/ }).describe("an address such as redis://:password@127.0.0.1:6379"),
  postgresUrl: z
    .url({ protocol: /^postgres(ql)?$/ })
    .describe("an address such as postgres://user:password@127.0.0.1:5432/vision"),
  secret: z.string().min(32).describe("a random secret of at least 32 characters"),
  flag: flag.describe("true or false"),
  logLevel: z.enum(["debug", "info", "warn", "error"]).default("info").describe("debug, info, warn or error"),
};

/** The S3 settings that every service with storage shares. */
export const storageSettings = {
  STORAGE_TYPE: z.enum(["minio", "r2", "s3"]).default("s3").describe("minio, r2 or s3"),
  STORAGE_BUCKET: z.string().min(3).max(63).describe("the name of the bucket"),
  S3_ENDPOINT: setting.httpUrl,
  S3_REGION: z.string().default("us-east-1").describe("a region such as us-east-1 (auto for R2)"),
  S3_FORCE_PATH_STYLE: setting.flag.default(true).describe("true or false"),
  S3_ACCESS_KEY_ID: z.string().min(1).describe("the access key id"),
  S3_SECRET_ACCESS_KEY: z.string().min(1).describe("the secret access key"),
};
export type StorageSettings = z.output<z.ZodObject<typeof storageSettings>>;

const tracingSchema = z.object({
  OTEL_SDK_DISABLED: flag.default(false).describe("true or false"),
  OTEL_TRACES_EXPORTER: z.enum(["otlp", "none"]).default("otlp").describe("otlp or none"),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting.httpUrl
    .optional()
    .describe("the address of a collector's OTLP over HTTP, such as http://127.0.0.1:4318"),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: setting.httpUrl
    .optional()
    .describe("the complete address for traces, such as http://127.0.0.1:4318/v1/traces"),
  /** Read by the exporter itself, as the two are meant: named here, so that every installation hands them on. */
  OTEL_EXPORTER_OTLP_HEADERS: z.string().optional().describe("name=value,… sent with every request, such as a token"),
  OTEL_RESOURCE_ATTRIBUTES: z.string().optional().describe("name=value,… said of every span"),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .enum(["http/json", "http/protobuf"])
    .optional()
    .describe("http/json (gRPC is not spoken: give the collector's HTTP port, usually 4318)"),
  OTEL_TRACES_SAMPLER: z
    .enum([
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio",
    ])
    .default("parentbased_always_on")
    .describe("a sampler such as parentbased_traceidratio"),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1).describe("a share from 0 to 1"),
  OTEL_BSP_SCHEDULE_DELAY: z.coerce.number().int().min(1).default(5_000).describe("milliseconds between two sendings"),
  OTEL_BSP_MAX_QUEUE_SIZE: z.coerce
    .number()
    .int()
    .min(512)
    .default(2_048)
    .describe("spans that may wait, at least 512"),
});

export interface TracingSettings {
  endpoint: string;
  sampler: string;
  /** 0 to 1. */
  ratio: number;
  schedule_ms: number;
  /** Spans; beyond it new ones are lost. */
  queue: number;
}

/** OpenTelemetry's own variables; undefined when no traces are wanted. Throws ConfigError. */
export function readTracingSettings(
  environment: Record<string, string | undefined> = process.env,
): TracingSettings | undefined {
  // By far the most usual case, and a start should not wait for a schema then.
  if (!environment.OTEL_EXPORTER_OTLP_ENDPOINT && !environment.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) return undefined;
  const config = loadConfig("tracing", tracingSchema, environment);
  const endpoint = config.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? config.OTEL_EXPORTER_OTLP_ENDPOINT ?? "";
  if (config.OTEL_SDK_DISABLED || config.OTEL_TRACES_EXPORTER === "none") return undefined;
  return {
    endpoint,
    sampler: config.OTEL_TRACES_SAMPLER,
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    schedule_ms: config.OTEL_BSP_SCHEDULE_DELAY,
    queue: config.OTEL_BSP_MAX_QUEUE_SIZE,
  };
}
