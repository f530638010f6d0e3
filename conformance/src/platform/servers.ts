/** The real servers of a run: S3 and Redis, in a process that ends them with this one, kill -9 included. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { serverEnvironment, testServers } from "../config.ts";

export interface Servers {
  s3: { endpoint: string; accessKeyId: string; secretAccessKey: string; bucket: string };
  /** By a user who may do everything. */
  redisUrl: string;
  stop(): Promise<void>;
}

const addresses = z.object({
  TEST_REDIS_URL: z.string(),
  TEST_S3_ENDPOINT: z.string(),
  TEST_S3_ACCESS_KEY_ID: z.string(),
  TEST_S3_SECRET_ACCESS_KEY: z.string(),
  TEST_S3_BUCKET: z.string(),
});

const START_LIMIT_MS = 60_000;

/** Uses the servers of a test run where there are some. Throws when they do not start within a minute. */
export async function startServers(): Promise<Servers> {
  const given = testServers();
  if (given) return serversOf(addresses.parse(given), async () => undefined);
  const program = fileURLToPath(import.meta.resolve("@vision-platform/laptop/test-services-keeper"));
  const keeper = spawn(process.execPath, [program], {
    // Its own group: Ctrl-C reaches us, and the keeper outlives us to clean up.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
    env: serverEnvironment(),
  });
  const ended = once(keeper, "exit");
  const [line] = await Promise.race([
    once(createInterface({ input: keeper.stdout }), "line", { signal: AbortSignal.timeout(START_LIMIT_MS) }),
    ended.then(([code]) => {
      throw new Error(`S3 and Redis for the run did not start (their keeper ended with ${code})`);
    }),
  ]);
  return serversOf(addresses.parse(JSON.parse(String(line))), async () => {
    keeper.stdin.end();
    await ended;
  });
}

function serversOf(found: z.infer<typeof addresses>, stop: () => Promise<void>): Servers {
  return {
    s3: {
      endpoint: found.TEST_S3_ENDPOINT,
      accessKeyId: found.TEST_S3_ACCESS_KEY_ID,
      secretAccessKey: found.TEST_S3_SECRET_ACCESS_KEY,
      bucket: found.TEST_S3_BUCKET,
    },
    redisUrl: found.TEST_REDIS_URL,
    stop,
  };
}
