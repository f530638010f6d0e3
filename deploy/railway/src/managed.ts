/** What Railway and Cloudflare run for a project: Postgres, Redis and R2. Each in a container that nobody else enters. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Containers } from "./containers.ts";
import type { ProjectVariables } from "./variables.ts";

/** The same as in docker-compose.yml. */
const IMAGES = {
  postgres: "postgres:18.4",
  redis: "valkey/valkey:9.1.2",
  storage: "versity/versitygw:v1.8.0",
};
const POSTGRES = "postgres.railway.internal";
const REDIS = "redis.railway.internal";
const READY_LIMIT_MS = 60_000;
const S3_PORT = 7070;

export interface Managed {
  /** As Railway's own services and the shared variables of the project have them. */
  variables: ProjectVariables;
  /** The private names of Postgres and Redis: IPv6 addresses only, as in Railway's older environments. */
  hosts: Record<string, string>;
  storage: { endpoint: string; bucket: string; access_key_id: string; secret_access_key: string };
}

const secret = () => randomBytes(24).toString("hex");

/** Starts all three and resolves when they answer. */
export async function startManaged(containers: Containers): Promise<Managed> {
  const [postgres, redis, storage] = await Promise.all([
    startPostgres(containers),
    startRedis(containers),
    startStorage(containers),
  ]);
  const shared = {
    INTERNAL_TOKEN: secret(),
    JWT_SECRET: secret(),
    STORAGE_BUCKET: storage.bucket,
    S3_ENDPOINT: storage.endpoint,
    S3_ACCESS_KEY_ID: storage.access_key_id,
    S3_SECRET_ACCESS_KEY: storage.secret_access_key,
  };
  return {
    variables: { Postgres: postgres.variables, Redis: redis.variables, shared },
    hosts: { [POSTGRES]: postgres.host, [REDIS]: redis.host },
    storage,
  };
}

interface Database {
  variables: Record<string, string>;
  host: string;
}

async function startPostgres(containers: Containers): Promise<Database> {
  const password = secret();
  const env = { POSTGRES_USER: "postgres", POSTGRES_DB: "railway", POSTGRES_PASSWORD: password };
  const host = await containers.start({ name: "postgres", image: IMAGES.postgres, aliases: [], env });
  // The server that answers on a network is the real one; while the cluster is made, it listens on its socket only.
  const ask = ["pg_isready", "--username=postgres", "--dbname=railway", "--host=127.0.0.1"];
  await untilItWorks("postgres", () => containers.exec("postgres", ask));
  return { host, variables: { DATABASE_URL: `postgresql://postgres:${password}@${POSTGRES}:5432/railway` } };
}

/** Railway's template starts redis-server with a password and a volume; the guide adds what makes it keep a queue. */
async function startRedis(containers: Containers): Promise<Database> {
  const password = secret();
  const keep = ["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"];
  const host = await containers.start({
    name: "redis",
    image: IMAGES.redis,
    aliases: [],
    env: { REDISCLI_AUTH: password },
    command: ["valkey-server", "--requirepass", password, "--save", "60", "1", "--dir", "/data", ...keep],
  });
  await untilItWorks("redis", async () => {
    const answer = await containers.exec("redis", ["valkey-cli", "ping"]);
    if (!answer.includes("PONG")) throw new Error(answer);
  });
  return { host, variables: { REDIS_URL: `redis://default:${password}@${REDIS}:6379` } };
}

/** As R2: region auto, no ACLs, path style, and a bucket that was made by hand. Reached by its IPv6 address. */
async function startStorage(containers: Containers): Promise<Managed["storage"]> {
  const bucket = "vision-platform";
  const [access_key_id, secret_access_key] = [secret(), secret()];
  const host = await containers.start({
    name: "r2",
    image: IMAGES.storage,
    aliases: [],
    env: {
      ROOT_ACCESS_KEY: access_key_id,
      ROOT_SECRET_KEY: secret_access_key,
      VGW_REGION: "auto",
      VGW_DISABLE_ACL: "true",
      VGW_HEALTH: "/health",
    },
    entrypoint: "sh",
    command: ["-c", `mkdir -p /data/${bucket} && exec /usr/local/bin/versitygw --port :${S3_PORT} posix /data`],
  });
  const endpoint = `http://[${host}]:${S3_PORT}`;
  await untilItWorks("r2", async () => {
    const answer = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(2_000) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  });
  return { endpoint, bucket, access_key_id, secret_access_key };
}

async function untilItWorks(name: string, attempt: () => Promise<unknown>): Promise<void> {
  const limit = Date.now() + READY_LIMIT_MS;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (Date.now() > limit)
        throw new Error(`${name} was not ready within ${READY_LIMIT_MS / 1000} s`, { cause: error });
      await sleep(300);
    }
  }
}
