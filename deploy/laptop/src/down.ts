import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { endPlatform, livingProcesses } from "./end-platform.ts";
import { endProcesses, readRecords } from "./ending.ts";
import { withLock } from "./lock.ts";
import { recordPath } from "./part.ts";
import { type VpPaths, vpPaths } from "./paths.ts";
import { isAlive } from "./process-identity.ts";

/** What `./vp down` did: what ran, what did not end by itself, and what (never) is left. */
export type DownReport = { ended: string[]; killed: string[]; left: string[]; seconds: number };

/**
 * Ends everything that this checkout started, in at most ten seconds, also when the supervisor was killed.
 * Waits for a `./vp up` that is at work to finish first.
 */
export function down(paths: VpPaths = vpPaths()): Promise<DownReport> {
  return withLock(
    paths.lock,
    () => endAll(paths),
    (holder) => {
      process.stderr.write(`waiting for another ./vp that starts or ends the platform (process ${holder.pid})\n`);
    },
  );
}

async function endAll(paths: VpPaths): Promise<DownReport> {
  const began = Date.now();
  const before = livingProcesses(paths).map((record) => record.name);
  const supervisor = readRecords(paths.run).find(({ record }) => record.name === "supervisor")?.record;
  let killed: string[] = [];
  if (supervisor && isAlive(supervisor)) {
    // It restarts what dies: it has to go first, and it goes last, when everything else has ended.
    process.kill(supervisor.pid, "SIGTERM");
    while (isAlive(supervisor) && Date.now() - began < 9_950) await sleep(20);
    killed = await endProcesses([supervisor], "SIGTERM", 0);
  }
  // What the supervisor did not get to, or, when it was killed, everything.
  if (livingProcesses(paths).length > 0) killed.push(...(await endPlatform(paths)));
  rmSync(recordPath(paths.run, "supervisor"), { force: true });
  rmSync(paths.state, { force: true });
  return {
    ended: before,
    killed,
    left: livingProcesses(paths).map((record) => record.name),
    seconds: Math.round((Date.now() - began) / 100) / 10,
  };
}
