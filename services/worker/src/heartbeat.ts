/** Tells the gateway every five seconds that this worker is there. */
import { workerHeartbeat } from "@vision-platform/contracts/api/internal";
import type { WorkerParts } from "./worker-parts.ts";

const EVERY_MS = 5_000;
/** Until the first one is accepted: services start side by side, and nobody should wait for the slower one's clock. */
const FIRST_EVERY_MS = 250;
/** A worker that ends has little time left. */
const LAST_TIMEOUT_MS = 1_500;

export interface Heartbeat {
  /** Rejects with the reason when the gateway did not take the last heartbeat. */
  check(): Promise<void>;
  /** From now on each says that the worker takes no more work. */
  startStopping(): void;
  /** A last one, and no more. Never rejects. */
  stop(): Promise<void>;
}

/** Sends the first one at once, without waiting for its answer. A gateway that is away is one warning, not one each time. */
export function startHeartbeat(parts: WorkerParts, busy: () => number): Heartbeat {
  const { workerId: worker_id, host, config, client, launcher, launcherReason: launcher_reason, gpus, logger } = parts;
  let problem: unknown = new Error("no heartbeat was answered yet");
  let stopping = false;
  let ended = false;
  let accepted = false;
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();

  async function beat(timeout = 4_000): Promise<void> {
    const about = { worker_id, host, framework: config.FRAMEWORK, launcher: launcher.name, launcher_reason };
    const body = { ...about, slots: config.SLOTS, busy: busy(), stopping, gpus: [...gpus.known()] };
    try {
      await client.call(workerHeartbeat, { body, timeout });
      problem = undefined;
    } catch (error) {
      if (problem === undefined) logger.warn({ err: error }, "the gateway does not take heartbeats");
      problem = error;
    }
  }

  function next(): void {
    last = beat().then(() => {
      accepted ||= problem === undefined;
      if (!ended) timer = setTimeout(next, accepted ? EVERY_MS : FIRST_EVERY_MS);
    });
  }
  next();

  return {
    async check() {
      await last;
      if (problem !== undefined) throw problem;
    },
    startStopping() {
      stopping = true;
    },
    async stop() {
      stopping = true;
      ended = true;
      clearTimeout(timer);
      await beat(LAST_TIMEOUT_MS);
    },
  };
}
