/** Looks for trainers that outlived their worker, and takes over those that nobody looks after. */
import { setTimeout as sleep } from "node:timers/promises";
import { isFenced, isOver } from "../attempt-api.ts";
import type { AttemptIds, TrainerIdentity } from "../launchers/launcher.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { attemptDirectory, prepareDirectory, removeDirectory } from "./attempt-directory.ts";
import type { Supervisor } from "./supervisor.ts";

const EVERY_MS = 5_000;
const STOP_LIMIT_MS = 1_000;

export interface Adoption {
  /** Resolves when a look that is under way is over, after a second at most. */
  stop(): Promise<void>;
}

/** The attempt is over, or its job went on with another one: its trainer must not write any more. */
async function endStale(parts: WorkerParts, ids: AttemptIds, identity: TrainerIdentity): Promise<void> {
  const directory = attemptDirectory(parts.config.WORK_DIR, ids);
  prepareDirectory(directory);
  const trainer = await parts.launcher.adopt(ids, identity, directory);
  if (trainer) {
    await parts.launcher.stop(trainer, "SIGKILL");
    await parts.launcher.remove(trainer);
    parts.logger.warn({ ...ids, trainer: identity.handle }, "ended and removed a trainer whose attempt is over");
  }
  await removeDirectory(directory);
}

/** Who holds the lease goes on with it; a job that the gateway does not know may be another platform's: left alone. */
async function judge(
  parts: WorkerParts,
  supervisor: Supervisor,
  found: AttemptIds & { identity: TrainerIdentity },
): Promise<void> {
  const ids = { job_id: found.job_id, attempt: found.attempt };
  try {
    await supervisor.adopt(ids, found.identity);
  } catch (error) {
    if (isOver(error)) await endStale(parts, ids, found.identity);
    else if (!isFenced(error)) throw error;
  }
}

/**
 * Looks at once and every five seconds, and calls `onLook` after each look. With a launcher whose trainers end with their
 * worker there is nothing to find.
 */
export function startAdoption(parts: WorkerParts, supervisor: Supervisor, onLook: () => void): Adoption {
  const stop = new AbortController();
  const away = { told: false };

  async function look(): Promise<void> {
    for (const found of await parts.launcher.find()) {
      if (stop.signal.aborted) return;
      if (!supervisor.has(found)) await judge(parts, supervisor, found);
    }
  }

  async function keepLooking(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await look();
        onLook();
        away.told = false;
      } catch (error) {
        if (!away.told) parts.logger.warn({ err: error }, "trainers that nobody looks after cannot be looked for");
        away.told = true;
      }
      await sleep(EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }

  const looking = parts.launcher.outlivesWorker ? keepLooking() : Promise.resolve();
  return {
    async stop() {
      stop.abort();
      // An engine that does not answer must not keep the worker from ending.
      await Promise.race([looking, sleep(STOP_LIMIT_MS)]);
    },
  };
}
