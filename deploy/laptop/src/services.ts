import { existsSync } from "node:fs";
import { join } from "node:path";
import { SERVICE_NODE_OPTIONS } from "@vision-platform/common/node-options";
import { baseEnvironment, GATEWAY_SETTINGS, givenSettings, type Settings, WORKER_SETTINGS } from "./config.ts";
import { type LaptopAgent, platformInstance } from "./docker-agent.ts";
import type { Part } from "./part.ts";
import { ROOT, type VpPaths } from "./paths.ts";
import type { Secrets } from "./secrets.ts";
import type { Trainer } from "./trainers.ts";

/** Where Postgres, Redis and S3 are, embedded or given. */
export type Backing = {
  database_url: string;
  redis_url: string;
  s3_endpoint: string;
  s3_access_key_id: string;
  s3_secret_access_key: string;
};

type Context = {
  settings: Settings;
  secrets: Secrets;
  backing: Backing;
  ports: Record<string, number>;
  paths: VpPaths;
  /** Null where trainers are processes of this machine. */
  agent: LaptopAgent | null;
};

/** Our own processes: the gateway, the notifier, and one worker for each framework. */
export function serviceParts(context: Context, trainers: Trainer[]): Part[] {
  return [
    service(context, "gateway", "gateway", gatewayEnv(context)),
    service(context, "notifier", "notifier", notifierEnv(context)),
    ...trainers.map((trainer) => {
      const name = workerName(trainer);
      return service(context, name, "worker", workerEnv(context, trainer, name));
    }),
  ];
}

/** The names that need a port. */
export function servicePortNames(trainers: Trainer[]): string[] {
  return ["gateway", "notifier", ...trainers.map(workerName)];
}

/** Of the process that works on a framework's jobs. */
export function workerName(trainer: Trainer): string {
  return `worker-${trainer.framework}`;
}

function service(context: Context, name: string, workspace: string, env: Record<string, string>): Part {
  const main = join(ROOT, "services", workspace, "src/main.ts");
  if (!existsSync(main))
    throw new Error(`${main} is missing: this checkout is not complete, restore it with "git checkout"`);
  const port = String(context.ports[name]);
  const address = `http://127.0.0.1:${port}`;
  return {
    name,
    command: process.execPath,
    args: [...SERVICE_NODE_OPTIONS, main],
    env: { ...baseEnvironment(), NODE_ENV: "production", HOST: "127.0.0.1", PORT: port, ...env },
    cwd: ROOT,
    stopSignal: "SIGTERM",
    ready: () => askReady(address),
    address,
  };
}

function storageEnv({ settings, backing }: Context): Record<string, string> {
  return {
    S3_ENDPOINT: backing.s3_endpoint,
    S3_REGION: settings.S3_REGION,
    S3_ACCESS_KEY_ID: backing.s3_access_key_id,
    S3_SECRET_ACCESS_KEY: backing.s3_secret_access_key,
    S3_FORCE_PATH_STYLE: settings.S3_FORCE_PATH_STYLE,
    STORAGE_BUCKET: settings.STORAGE_BUCKET,
    STORAGE_TYPE: settings.STORAGE_TYPE,
  };
}

function gatewayUrl(context: Context): string {
  return `http://127.0.0.1:${context.ports.gateway}`;
}

function gatewayEnv(context: Context): Record<string, string> {
  const { settings, secrets, backing } = context;
  return {
    ...storageEnv(context),
    DATABASE_URL: backing.database_url,
    REDIS_URL: backing.redis_url,
    JWT_SECRET: secrets.jwt_secret,
    INTERNAL_TOKEN: secrets.internal_token,
    PUBLIC_URL: gatewayUrl(context),
    REGISTRATION: settings.REGISTRATION,
    TRAINERS_DIR: join(ROOT, "trainers"),
    LOG_LEVEL: settings.LOG_LEVEL,
    ...givenSettings(settings, GATEWAY_SETTINGS),
  };
}

function notifierEnv(context: Context): Record<string, string> {
  return {
    REDIS_URL: context.backing.redis_url,
    GATEWAY_URL: gatewayUrl(context),
    INTERNAL_TOKEN: context.secrets.internal_token,
    LOG_LEVEL: context.settings.LOG_LEVEL,
  };
}

function workerEnv(context: Context, trainer: Trainer, name: string): Record<string, string> {
  return {
    ...storageEnv(context),
    FRAMEWORK: trainer.framework,
    REDIS_URL: context.backing.redis_url,
    GATEWAY_URL: gatewayUrl(context),
    INTERNAL_TOKEN: context.secrets.internal_token,
    SLOTS: String(context.settings.SLOTS),
    WORK_DIR: join(context.paths.work, name),
    TRAINERS_DIR: join(ROOT, "trainers"),
    TRAINER_ENVS_DIR: context.paths.envs,
    EVENTS_MODE: context.settings.EVENTS_MODE,
    LOG_LEVEL: context.settings.LOG_LEVEL,
    PLATFORM_INSTANCE: platformInstance(context.paths),
    // ./vp down ends everything, with a checkpoint; the next ./vp up goes on from there.
    KEEP_TRAINERS: "false",
    ...context.agent?.workerEnv,
    ...givenSettings(context.settings, WORKER_SETTINGS),
  };
}

/** Null when /ready answers 200, else the parts it says are not. */
async function askReady(address: string): Promise<string | null> {
  try {
    const answer = await fetch(`${address}/ready`, { signal: AbortSignal.timeout(4_000) });
    const body = (await answer.json().catch(() => ({}))) as { parts?: Record<string, string> };
    if (answer.ok) return null;
    const wrong = Object.entries(body.parts ?? {}).filter(([, state]) => state !== "ok");
    return wrong.map(([part, state]) => `${part}: ${state}`).join("; ") || `/ready answers ${answer.status}`;
  } catch {
    return "it does not answer yet";
  }
}
