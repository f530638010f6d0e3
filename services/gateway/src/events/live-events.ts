/** One reader of `vp:out` for all event streams of this process; it runs only while somebody listens. */
import type { Logger } from "@vision-platform/common/logger";
import { type OutStreamReader, readOutStream } from "@vision-platform/common/out-stream";
import { connectRedis } from "@vision-platform/common/redis";
import type { JobEvent } from "@vision-platform/contracts/job-events";

export type Listener = (event: JobEvent) => void;

export interface LiveEvents {
  /**
   * Hands the job's events to `listener` as they are committed: a hint, which can miss some and repeat others. Resolves
   * with the function that ends it, once events are seen or after two seconds without Redis.
   */
  listen(job_id: number, listener: Listener): Promise<() => void>;
  close(): Promise<void>;
}

const READY_LIMIT_MS = 2_000;

/** Connects when the first listener comes and disconnects when the last one goes. */
export function createLiveEvents(redisUrl: string, logger: Logger): LiveEvents {
  const listeners = new Map<number, Set<Listener>>();
  let reader: OutStreamReader | undefined;

  function deliver(event: JobEvent): void {
    for (const listener of listeners.get(event.job_id) ?? []) listener(event);
  }

  async function stopReader(): Promise<void> {
    const ending = reader;
    reader = undefined;
    await ending?.stop();
  }

  function remove(job_id: number, listener: Listener): void {
    const set = listeners.get(job_id);
    set?.delete(listener);
    if (set?.size === 0) listeners.delete(job_id);
    if (listeners.size === 0) void stopReader();
  }

  return {
    async listen(job_id, listener) {
      const set = listeners.get(job_id) ?? new Set();
      listeners.set(job_id, set.add(listener));
      reader ??= readOutStream(connectRedis(redisUrl, "blocking"), logger, deliver);
      await Promise.race([reader.ready, new Promise((resolve) => setTimeout(resolve, READY_LIMIT_MS).unref())]);
      return () => remove(job_id, listener);
    },
    async close() {
      listeners.clear();
      await stopReader();
    },
  };
}
