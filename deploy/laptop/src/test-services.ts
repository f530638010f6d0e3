// Real Postgres, Redis and S3 for tests, in a temporary folder, on free ports, gone afterwards.
//
// As vitest's globalSetup it puts TEST_DATABASE_URL, TEST_REDIS_URL and TEST_S3_* into the environment of the tests;
// `node deploy/laptop/src/test-services.ts -- <command>` does the same for any command.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { publishEnvironment, wholeEnvironment } from "./config.ts";

/** The variables that tests read. Keys and passwords are generated for each run. */
export type TestEnvironment = {
  TEST_DATABASE_URL: string;
  TEST_REDIS_URL: string;
  /** One for each lane (test-lanes.ts), with a space between them; the first is TEST_REDIS_URL. */
  TEST_REDIS_URLS: string;
  TEST_S3_ENDPOINT: string;
  TEST_S3_ACCESS_KEY_ID: string;
  TEST_S3_SECRET_ACCESS_KEY: string;
  TEST_S3_BUCKET: string;
};

/**
 * Starts the servers behind a keeper process of their own. The keeper stops them when `stop` is called, and also when
 * this process ends in any way, kill -9 included, because its standard input closes then.
 */
export async function startTestServices(): Promise<{ env: TestEnvironment; stop: () => Promise<void> }> {
  const keeper = spawn(process.execPath, [resolve(import.meta.dirname, "test-services-keeper.ts")], {
    // Its own group: Ctrl-C in the terminal reaches the tests, and the keeper outlives them to clean up.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
    env: wholeEnvironment(),
  });
  const ended = once(keeper, "exit");
  const [line] = await Promise.race([
    once(createInterface({ input: keeper.stdout }), "line"),
    ended.then(([code]) => {
      throw new Error(`the servers for tests did not start (keeper ended with ${code})`);
    }),
  ]);
  return {
    env: JSON.parse(String(line)) as TestEnvironment,
    stop: async () => {
      keeper.stdin.end();
      await ended;
    },
  };
}

/** vitest globalSetup. Servers that a caller has started already (`./vp test`) are used as they are. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (wholeEnvironment().TEST_DATABASE_URL) return undefined;
  const { env, stop } = await startTestServices();
  publishEnvironment(env);
  return stop;
}

if (import.meta.main) {
  const command = process.argv.slice(process.argv[2] === "--" ? 3 : 2);
  if (!command[0]) throw new Error("usage: test-services.ts -- <command> [argument…]");
  const { env, stop } = await startTestServices();
  // The command gets Ctrl-C from the terminal itself; we stay to clean up after it.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);
  const child = spawn(command[0], command.slice(1), { stdio: "inherit", env: { ...wholeEnvironment(), ...env } });
  const failed = once(child, "error").then(() => [127]);
  const [code] = await Promise.race([once(child, "exit"), failed]);
  await stop();
  process.exit(code ?? 1);
}
