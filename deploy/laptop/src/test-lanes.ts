import { wholeEnvironment } from "./config.ts";

/**
 * How many test files of vitest's unit project run at once. Most of them wait (for leases, for clocks), so more than there are
 * cores. Each lane has a Redis of its own: its users, streams and clients are named by job and attempt, and every test's jobs
 * begin at 1. A Redis that somebody gives us is one for all.
 */
export function testLanes(): number {
  return wholeEnvironment().REDIS_URL ? 1 : 3;
}
