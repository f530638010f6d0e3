import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import type { StorageSettings } from "@vision-platform/common/config";
import { loadSettings, type Settings } from "./config.ts";
import { endPlatform, livingProcesses } from "./end-platform.ts";
import { withLock } from "./lock.ts";
import { launchPart } from "./part.ts";
import { ROOT, type VpPaths } from "./paths.ts";
import { planPlatform } from "./platform.ts";
import { createCluster } from "./postgres.ts";
import { waitUntilReady } from "./readiness.ts";
import { ensureSecrets } from "./secrets.ts";
import { runningState } from "./up.ts";

/** Where a platform's data is, as this machine reaches it. */
export interface Servers {
  shape: "laptop" | "compose";
  database_url: string;
  redis_url: string;
  storage: StorageSettings;
  /** The account that `./vp` signs in with; only the laptop has one. */
  account?: { email: string; password: string };
  /** What was set, by name; secrets are among it. */
  settings: Record<string, string>;
}

/** Which platform: that of this folder, or that of docker-compose.yml with this `.env`. */
export type Which = { composeEnv: string | null; paths: VpPaths };

/**
 * Runs `work` with the platform's Postgres, Redis and S3. On a laptop whose platform is down, its own servers run
 * meanwhile. DATABASE_URL, REDIS_URL and S3_ENDPOINT are used where they are given, as `./vp up` does.
 * @param down true: refuses while the laptop platform runs.
 * @throws Error when the servers cannot be had, with what to do.
 */
export async function withServers<T>(
  { composeEnv, paths }: Which,
  down: boolean,
  work: (servers: Servers) => Promise<T>,
): Promise<T> {
  if (composeEnv !== null) return await work(composeServers(composeEnv));
  const settings = loadSettings();
  if (runningState(paths)) {
    if (down) throw new Error("the platform is running: ./vp down first");
    return await work(await laptopServers(settings, paths));
  }
  const alone = async () => {
    const { secrets, backing } = await backingParts(settings, paths);
    try {
      for (const part of backing) launchPart(part, paths);
      await waitUntilReady(backing, 60_000);
      return await work(await laptopServers(settings, paths, secrets));
    } finally {
      await endPlatform(paths);
    }
  };
  return await withLock(paths.lock, alone, (holder) => {
    process.stderr.write(`waiting for another ./vp that starts or ends the platform (process ${holder.pid})\n`);
  });
}

async function backingParts(settings: Settings, paths: VpPaths) {
  if (livingProcesses(paths).length > 0) await endPlatform(paths);
  const secrets = ensureSecrets(paths.secrets);
  if (!settings.DATABASE_URL) await createCluster(paths.postgres, secrets.postgres_password, true);
  return { secrets, backing: (await planPlatform(settings, paths)).backing };
}

async function laptopServers(
  settings: Settings,
  paths: VpPaths,
  secrets = ensureSecrets(paths.secrets),
): Promise<Servers> {
  // The ports of a running platform are those that were noted when it was planned.
  const ports = JSON.parse(readFileSync(paths.ports, "utf8")) as Record<string, number>;
  const own = `vision:${secrets.postgres_password}@127.0.0.1:${ports.postgres}/vision`;
  return {
    shape: "laptop",
    database_url: settings.DATABASE_URL ?? `postgres://${own}`,
    redis_url: settings.REDIS_URL ?? `redis://:${secrets.redis_password}@127.0.0.1:${ports.redis}`,
    storage: {
      STORAGE_TYPE: settings.STORAGE_TYPE,
      STORAGE_BUCKET: settings.STORAGE_BUCKET,
      S3_ENDPOINT: settings.S3_ENDPOINT ?? `http://127.0.0.1:${ports.s3}`,
      S3_REGION: settings.S3_REGION,
      S3_FORCE_PATH_STYLE: settings.S3_FORCE_PATH_STYLE === "true",
      S3_ACCESS_KEY_ID: settings.S3_ACCESS_KEY_ID ?? secrets.s3_access_key_id,
      S3_SECRET_ACCESS_KEY: settings.S3_SECRET_ACCESS_KEY ?? secrets.s3_secret_access_key,
    },
    account: { email: secrets.account_email, password: secrets.account_password },
    settings: Object.fromEntries(
      Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
    ),
  };
}

/** docker-compose.yml publishes its servers on 127.0.0.1; a database or storage of one's own is where `.env` says. */
function composeServers(file: string): Servers {
  if (!existsSync(file))
    throw new Error(`there is no ${file}: ./vp compose-env makes it, or name yours with --env-file`);
  const env = parseEnv(readFileSync(file, "utf8")) as Record<string, string>;
  const given = (name: string, otherwise: string) => env[name] || otherwise;
  const needed = (name: string) => {
    if (!env[name]) throw new Error(`${file}: ${name} is empty; ./vp compose-env gives it a value`);
    return env[name];
  };
  const postgres = `vision:${needed("POSTGRES_PASSWORD")}@127.0.0.1:${given("POSTGRES_PORT", "5432")}/vision`;
  const endpoint = given("S3_ENDPOINT", "http://s3:7070");
  return {
    shape: "compose",
    database_url: given("DATABASE_URL", `postgres://${postgres}`),
    redis_url: `redis://:${needed("REDIS_PASSWORD")}@127.0.0.1:${given("REDIS_PORT", "6379")}`,
    storage: {
      STORAGE_TYPE: given("STORAGE_TYPE", "s3") as StorageSettings["STORAGE_TYPE"],
      STORAGE_BUCKET: given("STORAGE_BUCKET", "vision-platform"),
      S3_ENDPOINT: endpoint === "http://s3:7070" ? `http://127.0.0.1:${given("S3_PORT", "9000")}` : endpoint,
      S3_REGION: given("S3_REGION", "us-east-1"),
      S3_FORCE_PATH_STYLE: given("S3_FORCE_PATH_STYLE", "true") === "true",
      S3_ACCESS_KEY_ID: needed("S3_ACCESS_KEY_ID"),
      S3_SECRET_ACCESS_KEY: needed("S3_SECRET_ACCESS_KEY"),
    },
    settings: env,
  };
}

/** The `.env` beside docker-compose.yml. */
export const COMPOSE_ENV = join(ROOT, ".env");
