/** Appends committed events to `vp:out`, from where SSE streams and notifiers take them. */
import type { Logger } from "@vision-platform/common/logger";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { OUT_STREAM_MAXLEN, outStream } from "@vision-platform/contracts/names";
import type { Redis } from "ioredis";
import { Counter, Histogram, type Registry } from "prom-client";

export interface EventPublisher {
  /** Best effort, never rejects: a reader that misses an event sees the gap and asks Postgres. */
  publish(events: readonly JobEvent[]): void;
}

/**
 * `redis` is a command connection without an offline queue; while it is away events are only in Postgres. What is
 * published in the same tick travels in one round trip.
 */
export function createEventPublisher(redis: Redis, registry: Registry, logger: Logger): EventPublisher {
  const registers = [registry];
  const duration = new Histogram({
    name: "vision_platform_event_publish_duration_seconds",
    help: "From the commit of events to their place in Redis' stream",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers,
  });
  const unpublished = new Counter({
    name: "vision_platform_events_unpublished_total",
    help: "Committed events that Redis did not take; readers get them from Postgres",
    registers,
  });
  let collected: JobEvent[] = [];

  function flush(): void {
    const events = collected;
    collected = [];
    if (redis.status !== "ready") {
      unpublished.inc(events.length);
      return;
    }
    const began = performance.now();
    const pipeline = redis.pipeline();
    for (const event of events) {
      pipeline.xadd(outStream(event.job_id), "MAXLEN", "~", OUT_STREAM_MAXLEN, "*", "e", JSON.stringify(event));
    }
    pipeline
      .exec()
      .then((results) => {
        const failed = results?.find(([error]) => error !== null)?.[0];
        if (failed) throw failed;
        duration.observe((performance.now() - began) / 1000);
      })
      .catch((error: unknown) => {
        unpublished.inc(events.length);
        logger.warn({ err: error, events: events.length }, "events not published");
      });
  }

  return {
    publish(events) {
      if (events.length === 0) return;
      if (collected.length === 0) setImmediate(flush);
      collected.push(...events);
    },
  };
}
