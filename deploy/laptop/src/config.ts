import { z } from "zod";

// The only file of this package that reads process.env.

const url = (protocols: RegExp, example: string) =>
  z.url({ protocol: protocols, error: `expected a URL such as ${example}` }).optional();

/** Settings of a worker that a person may give; unset, the worker's own defaults hold. */
export const WORKER_SETTINGS = [
  "DEVICE",
  "CUDA_VISIBLE_DEVICES",
  "GRACE_S",
  "MAX_RUNTIME_S",
  "CHECKPOINT_EVERY_S",
  "ALLOW_NETWORK",
  "MAX_MEMORY_BYTES",
  "TRAINER_NICE",
  "TRAINING_EXECUTION_MODE",
  "IMAGE_REGISTRY",
  "IMAGE_TAG",
  "PLATFORM_INSTANCE",
  "TRAINER_CPUS",
  "TRAINER_SHM_BYTES",
  "GPUS",
  "GIT_SSL_CAINFO",
] as const;

/** Settings of the docker agent that a person may give; the agent checks them. */
export const AGENT_SETTINGS = [
  "ALLOW_NETWORK",
  "IMAGE_REGISTRY",
  "IMAGE_TAG",
  "IMAGE_PULL",
  "IMAGE_PULL_USERNAME",
  "IMAGE_PULL_PASSWORD",
  "PLATFORM_INSTANCE",
  "CACHE_HOST_DIR",
  "WORK_BYTES",
  "MIN_FREE_BYTES",
] as const;

/** Settings of the gateway that a person may give; the gateway checks them. */
export const GATEWAY_SETTINGS = [
  "CORS_ORIGINS",
  "ENABLED_FRAMEWORKS",
  "MLFLOW_TRACKING_URI",
  "MLFLOW_TRACKING_USERNAME",
  "MLFLOW_TRACKING_PASSWORD",
  "MLFLOW_TRACKING_TOKEN",
] as const;

/** Handed on as they are; the service that takes them checks them. */
const HANDED_ON = [...GATEWAY_SETTINGS, ...WORKER_SETTINGS, ...AGENT_SETTINGS];

const schema = z.object({
  DATABASE_URL: url(/^postgres(ql)?$/, "postgres://user:password@host:5432/vision"),
  REDIS_URL: url(/^rediss?$/, "redis://:password@host:6379"),
  S3_ENDPOINT: url(/^https?$/, "http://127.0.0.1:9000"),
  S3_ACCESS_KEY_ID: z.string().min(1).optional(),
  S3_SECRET_ACCESS_KEY: z.string().min(1).optional(),
  S3_REGION: z.string().min(1).default("us-east-1"),
  S3_FORCE_PATH_STYLE: z.enum(["true", "false"], { error: "expected true or false" }).default("true"),
  STORAGE_BUCKET: z.string().min(3).default("vision-platform"),
  STORAGE_TYPE: z.enum(["minio", "r2", "s3"], { error: "expected minio, r2 or s3" }).default("s3"),
  REGISTRATION: z.enum(["open", "closed"], { error: "expected open or closed" }).default("open"),
  LOG_LEVEL: z.string().default("info"),
  EVENTS_MODE: z.enum(["auto", "redis", "http"], { error: "expected auto, redis or http" }).default("auto"),
  SLOTS: z.coerce.number({ error: "expected a whole number of training slots" }).int().min(1).default(1),
  ...(Object.fromEntries(HANDED_ON.map((name) => [name, z.string().optional()])) as Record<
    (typeof HANDED_ON)[number],
    z.ZodOptional<z.ZodString>
  >),
});

/** What a person may set for the laptop platform; everything else has a generated or fixed value. */
export type Settings = z.infer<typeof schema>;

/** A setting that is wrong: names the variable, what was found and what is expected. */
export class SettingsError extends Error {}

/**
 * Reads and checks the settings.
 * @throws SettingsError one line for each wrong variable; secrets are never printed.
 */
export function loadSettings(env: Record<string, string | undefined> = process.env): Settings {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = schema.safeParse(present);
  if (!parsed.success) {
    throw new SettingsError(parsed.error.issues.map((issue) => describe(issue, env)).join("\n"));
  }
  const settings = parsed.data;
  if (settings.S3_ENDPOINT && !(settings.S3_ACCESS_KEY_ID && settings.S3_SECRET_ACCESS_KEY)) {
    throw new SettingsError(
      "S3_ENDPOINT is set, but S3_ACCESS_KEY_ID or S3_SECRET_ACCESS_KEY is not: expected the keys of that storage",
    );
  }
  return settings;
}

/** The named settings that a person has given, as they were given. */
export function givenSettings(settings: Settings, names: readonly (keyof Settings)[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (settings[name] === undefined ? [] : [[name, String(settings[name])]])),
  );
}

function describe(issue: z.core.$ZodIssue, env: Record<string, string | undefined>): string {
  const name = String(issue.path[0]);
  const secret = /SECRET|PASSWORD|TOKEN|_URL|KEY/.test(name);
  return `${name}: found ${secret ? "a value that is not shown" : JSON.stringify(env[name])}, ${issue.message}`;
}

const imageName = z
  .string()
  .regex(/^[a-z0-9][\w./:@-]*$/i, { error: "expected the name of an image" })
  .optional();
const imageSchema = z.object({
  IMAGE_REGISTRY: z
    .string()
    .regex(/^([a-z0-9][\w.:/-]*\/)?$/i, {
      error: "expected a prefix that ends with a slash, such as registry.example.org/vision/",
    })
    .default(""),
  IMAGE_TAG: z
    .string()
    .regex(/^\w[\w.-]{0,127}$/, { error: "expected a tag such as 0.1.0" })
    .optional(),
  BASE_IMAGE: imageName,
  NODE_IMAGE: imageName,
});

/** Where images are named and what they are made from; unset, the Dockerfile's and the platform's own values hold. */
export type ImageSettings = z.infer<typeof imageSchema>;

/**
 * The settings of `./vp images`.
 * @throws SettingsError that names the variable.
 */
export function imageSettings(env: Record<string, string | undefined> = process.env): ImageSettings {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = imageSchema.safeParse(present);
  if (parsed.success) return parsed.data;
  throw new SettingsError(parsed.error.issues.map((issue) => describe(issue, env)).join("\n"));
}

/** The environment that child processes of ours start from: enough to find programs, a home, and where traces go. */
export function baseEnvironment(env: Record<string, string | undefined> = process.env): Record<string, string> {
  const kept = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "NODE_COMPILE_CACHE", "NODE_EXTRA_CA_CERTS"];
  // OpenTelemetry's own variables mean the same to every service; see docs/observability.md.
  const traces = Object.keys(env).filter((name) => name.startsWith("OTEL_"));
  return pick(env, [...kept, ...traces]);
}

/** The settings a person gave, as they were given, for the supervisor to read again. */
export function settingsEnvironment(env: Record<string, string | undefined> = process.env): Record<string, string> {
  return pick(env, Object.keys(schema.shape));
}

/** For tools that fetch (uv, npm): the base plus proxy, certificate and package-index settings of this machine. */
export function fetchEnvironment(env: Record<string, string | undefined> = process.env): Record<string, string> {
  const names = Object.keys(env).filter((name) =>
    /^(UV_|PIP_|NPM_CONFIG_|npm_config_|SSL_CERT_|REQUESTS_CA|CURL_CA|XDG_)|_proxy$/i.test(name),
  );
  return { ...baseEnvironment(env), ...pick(env, names) };
}

/** The environment as it is, for commands a person could have typed (tests, checks). */
export function wholeEnvironment(): Record<string, string> {
  return pick(process.env, Object.keys(process.env));
}

/** Puts values into this process's own environment, where vitest hands them to its workers. */
export function publishEnvironment(values: Record<string, string>): void {
  Object.assign(process.env, values);
}

/** The access key pair that the embedded S3 server is started with. */
export function s3ServerKeys(env: Record<string, string | undefined> = process.env): { id: string; secret: string } {
  const keys = z.object({ S3_ACCESS_KEY_ID: z.string().min(1), S3_SECRET_ACCESS_KEY: z.string().min(1) }).parse(env);
  return { id: keys.S3_ACCESS_KEY_ID, secret: keys.S3_SECRET_ACCESS_KEY };
}

function pick(env: Record<string, string | undefined>, names: string[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of names) {
    const value = env[name];
    if (value !== undefined) out[name] = value;
  }
  return out;
}
