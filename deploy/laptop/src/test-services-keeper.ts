// Runs the servers for tests until its standard input closes. Prints their TestEnvironment as one JSON line.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSettings } from "./config.ts";
import { endProcesses, readRecords } from "./ending.ts";
import { launchPart, type Part } from "./part.ts";
import { choosePorts } from "./ports.ts";
import { createCluster, postgresPart, postgresUrl } from "./postgres.ts";
import { waitUntilReady } from "./readiness.ts";
import { redisPart, redisUrl } from "./redis.ts";
import { s3Part } from "./s3.ts";
import { generateSecrets } from "./secrets.ts";
import { testLanes } from "./test-lanes.ts";
import type { TestEnvironment } from "./test-services.ts";

const folder = mkdtempSync(join(tmpdir(), "vp-test-"));
const dirs = { run: join(folder, "run"), logs: join(folder, "logs") };
let stopping = false;

process.stdin.resume();
process.stdin.once("end", () => void stop(0));
process.stdin.once("error", () => void stop(0));
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void stop(0));

try {
  const env = await start();
  process.stdout.write(`${JSON.stringify(env)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  await stop(1);
}

/** Starts what is not given by DATABASE_URL, REDIS_URL and S3_ENDPOINT. */
async function start(): Promise<TestEnvironment> {
  // Postgres may run as another user, who has to be able to walk to its folder.
  chmodSync(folder, 0o711);
  for (const dir of Object.values(dirs)) mkdirSync(dir);
  const settings = loadSettings();
  const secrets = generateSecrets();
  const redisNames = settings.REDIS_URL ? [] : Array.from({ length: testLanes() }, (_, lane) => `redis-${lane + 1}`);
  const ports = await choosePorts(["postgres", "s3", ...redisNames], null);
  const port = (name: string) => ports[name] ?? 0;
  const dir = (name: string) => join(folder, name);
  const parts: Part[] = [];
  const launch = (part: Part) => {
    // Asked to stop while starting: launching now would leave a server behind.
    if (stopping) return;
    launchPart(part, dirs);
    parts.push(part);
  };

  const bucket = settings.S3_ENDPOINT ? settings.STORAGE_BUCKET : "vision-platform-test";
  const keys = {
    accessKeyId: settings.S3_ACCESS_KEY_ID ?? secrets.s3_access_key_id,
    secretAccessKey: settings.S3_SECRET_ACCESS_KEY ?? secrets.s3_secret_access_key,
  };
  if (!settings.S3_ENDPOINT) launch(s3Part({ dir: dir("s3"), port: port("s3"), bucket, ...keys }));
  const password = secrets.redis_password;
  for (const name of redisNames) {
    launch({ ...(await redisPart({ dir: dir(name), port: port(name), password, durable: false })), name });
  }
  if (!settings.DATABASE_URL) {
    await createCluster(dir("postgres"), secrets.postgres_password, false);
    launch(await postgresPart({ dir: dir("postgres"), port: port("postgres"), durable: false }));
  }
  await waitUntilReady(parts, 60_000);
  const redisUrls = settings.REDIS_URL
    ? [settings.REDIS_URL]
    : redisNames.map((name) => redisUrl(port(name), password));
  return {
    TEST_DATABASE_URL: settings.DATABASE_URL ?? postgresUrl(port("postgres"), secrets.postgres_password),
    TEST_REDIS_URL: redisUrls[0] ?? "",
    TEST_REDIS_URLS: redisUrls.join(" "),
    TEST_S3_ENDPOINT: settings.S3_ENDPOINT ?? `http://127.0.0.1:${port("s3")}`,
    TEST_S3_ACCESS_KEY_ID: keys.accessKeyId,
    TEST_S3_SECRET_ACCESS_KEY: keys.secretAccessKey,
    TEST_S3_BUCKET: bucket,
  };
}

async function stop(code: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  const records = readRecords(dirs.run).map((entry) => entry.record);
  // SIGINT is Postgres's fast shutdown, and ends the others just as well.
  await endProcesses(records, "SIGINT", 5_000);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code);
}
