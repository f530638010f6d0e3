import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "./config.ts";
import { laptopAgent } from "./docker-agent.ts";
import type { Part } from "./part.ts";
import type { VpPaths } from "./paths.ts";
import { choosePorts } from "./ports.ts";
import { postgresPart, postgresUrl } from "./postgres.ts";
import { redisPart, redisUrl } from "./redis.ts";
import { s3Part } from "./s3.ts";
import { ensureSecrets } from "./secrets.ts";
import { type Backing, serviceParts, servicePortNames } from "./services.ts";
import { enabledTrainers } from "./trainers.ts";

/** Every process of the laptop platform, the servers that the others need first. */
export type Platform = {
  /** Postgres, Redis and S3, as far as they are ours. */
  backing: Part[];
  /** Comes before the workers and ends after them: they start and end their trainers through it. */
  agent: Part | null;
  services: Part[];
  gatewayUrl: string;
  notifierUrl: string;
};

/**
 * Works out which processes make the platform of this checkout. What DATABASE_URL, REDIS_URL or S3_ENDPOINT give is
 * used, and nothing is started in its place. The Postgres cluster must exist already (createCluster).
 */
export async function planPlatform(settings: Settings, paths: VpPaths): Promise<Platform> {
  for (const dir of [paths.run, paths.logs, paths.work]) mkdirSync(dir, { recursive: true });
  const secrets = ensureSecrets(paths.secrets);
  const trainers = enabledTrainers(settings);
  const ports: Record<string, number> = await choosePorts(
    ["postgres", "redis", "s3", ...servicePortNames(trainers)],
    paths.ports,
  );
  const port = (name: string) => ports[name] as number;

  const parts: Part[] = [];
  if (!settings.DATABASE_URL) {
    parts.push(await postgresPart({ dir: paths.postgres, port: port("postgres"), durable: true }));
  }
  if (!settings.REDIS_URL) {
    const password = secrets.redis_password;
    parts.push(await redisPart({ dir: paths.redis, port: port("redis"), password, durable: true }));
  }
  const keys = {
    accessKeyId: settings.S3_ACCESS_KEY_ID ?? secrets.s3_access_key_id,
    secretAccessKey: settings.S3_SECRET_ACCESS_KEY ?? secrets.s3_secret_access_key,
  };
  if (!settings.S3_ENDPOINT) {
    parts.push(s3Part({ dir: paths.s3, port: port("s3"), bucket: settings.STORAGE_BUCKET, ...keys }));
  }
  const backing: Backing = {
    database_url: settings.DATABASE_URL ?? postgresUrl(port("postgres"), secrets.postgres_password),
    redis_url: settings.REDIS_URL ?? redisUrl(port("redis"), secrets.redis_password),
    s3_endpoint: settings.S3_ENDPOINT ?? `http://127.0.0.1:${port("s3")}`,
    s3_access_key_id: keys.accessKeyId,
    s3_secret_access_key: keys.secretAccessKey,
  };
  const gatewayUrl = `http://127.0.0.1:${port("gateway")}`;
  const { redis_url, s3_endpoint } = backing;
  const agent = await laptopAgent(settings, paths, { gateway_url: gatewayUrl, redis_url, s3_endpoint });
  for (const trainer of trainers) mkdirSync(join(paths.work, `worker-${trainer.framework}`), { recursive: true });
  return {
    backing: parts,
    agent: agent?.part ?? null,
    services: serviceParts({ settings, secrets, backing, ports, paths, agent }, trainers),
    gatewayUrl,
    notifierUrl: `http://127.0.0.1:${port("notifier")}`,
  };
}
