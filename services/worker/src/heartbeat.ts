/** Tells the gateway every five seconds that this worker is there. */
import { workerHeartbeat } from "@vision-platform/contracts/api/internal";
import type { WorkerParts } from "./worker-parts.ts";

const EVERY_MS = 5_000;

export interface Heartbeat {
  /** Rejects with the reason when the gateway did not take the last heartbeat. */
  check(): Promise<void>;
  /** A last one says that the worker takes no more work. Never rejects. */
  stop(): Promise<void>;
}

/** Sends the first one at once. A gateway that is away is a warning when it goes, not every five seconds. */
export function startHeartbeat(parts: WorkerParts, busy: () => number): Heartbeat {
  const { workerId: worker_id, host, config, client, logger } = parts;
  let problem: unknown = new Error("no heartbeat was answered yet");
  let stopping = false;

  async function beat(): Promise<void> {
    const body = { worker_id, host, framework: config.FRAMEWORK, slots: config.SLOTS, busy: busy(), stopping };
    try {
      await client.call(workerHeartbeat, { body, timeout: 4_000 });
      problem = undefined;
    } catch (error) {
      if (problem === undefined) logger.warn({ err: error }, "the gateway does not take heartbeats");
      problem = error;
    }
  }

  let last = beat();
  const timer = setInterval(() => {
    last = beat();
  }, EVERY_MS);

  return {
    async check() {
      await last;
      if (problem !== undefined) throw problem;
    },
    async stop() {
      clearInterval(timer);
      stopping = true;
      await beat();
    },
  };
}
