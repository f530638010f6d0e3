/** Appends committed events to `vp:out`, from where SSE streams and notifiers take them. */
import type { Logger } from "@vision-platform/common/logger";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { OUT_STREAM_MAXLEN, outStream } from "@vision-platform/contracts/names";
import type { Redis } from "ioredis";

export interface EventPublisher {
  /** Best effort, never rejects: a reader that misses an event sees the gap and asks Postgres. */
  publish(events: readonly JobEvent[]): void;
}

/**
 * `redis` is a command connection without an offline queue; while it is away events are only in Postgres. What is
 * published in the same tick travels in one round trip.
 */
export function createEventPublisher(redis: Redis, logger: Logger): EventPublisher {
  let collected: JobEvent[] = [];

  function flush(): void {
    const events = collected;
    collected = [];
    if (redis.status !== "ready") return;
    const pipeline = redis.pipeline();
    for (const event of events) {
      pipeline.xadd(outStream(event.job_id), "MAXLEN", "~", OUT_STREAM_MAXLEN, "*", "e", JSON.stringify(event));
    }
    pipeline
      .exec()
      .then((results) => {
        const failed = results?.find(([error]) => error !== null)?.[0];
        if (failed) throw failed;
      })
      .catch((error: unknown) => logger.warn({ err: error, events: events.length }, "events not published"));
  }

  return {
    publish(events) {
      if (events.length === 0) return;
      if (collected.length === 0) setImmediate(flush);
      collected.push(...events);
    },
  };
}
