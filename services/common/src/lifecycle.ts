/** Start, drain, end: the same for every service. */
import type { Server } from "node:http";
import { ConfigError } from "./config.ts";
import type { Logger } from "./logger.ts";
import { stopTracing } from "./tracing.ts";

/** A service ends in at most this long after SIGTERM, unless it says otherwise. */
export const DRAIN_LIMIT_MS = 9_000;
/** Of it is kept for the end itself. */
const EXIT_MS = 300;

/** Listens and answers with the port that was taken (0 asks for any free one). Rejects when the port is in use. */
export function listen(server: Server, port: number, host: string): Promise<number> {
  // Longer than clients and proxies keep an idle connection, so that they are not cut off as they send on it again.
  server.keepAliveTimeout = 75_000;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Stops taking connections; open ones may finish, idle ones are closed at once. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), 3_000).unref();
  });
}

/** On SIGTERM or SIGINT runs `drain` once, then exits 0; exits 1 when it takes longer than `limitMs` or fails. */
export function drainOnSignal(logger: Logger, drain: () => Promise<void>, limitMs = DRAIN_LIMIT_MS): void {
  let draining = false;
  const begin = async (signal: string) => {
    if (draining) return;
    draining = true;
    logger.info({ signal }, "draining");
    const end = performance.now() + limitMs;
    setTimeout(() => {
      logger.error("draining took too long");
      process.exit(1);
    }, limitMs).unref();
    try {
      await drain();
      // Spans may be lost; ending in time is more.
      await stopTracing(end - performance.now() - EXIT_MS);
      logger.info("ended");
      process.exit(0);
    } catch (error) {
      logger.error({ err: error }, "draining failed");
      process.exit(1);
    }
  };
  process.on("SIGTERM", () => void begin("SIGTERM"));
  process.on("SIGINT", () => void begin("SIGINT"));
}

/** Runs a service's start; a wrong setting ends the process with its message alone and exit code 78. */
export async function start(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(`${error.message}\n`);
      process.exit(78);
    }
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  }
}
