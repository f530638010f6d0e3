/** How many events came in and how late, for Prometheus. */
import { Counter, Histogram, type Registry } from "prom-client";
import type { Batch, Source } from "./event-batch.ts";

export interface EventMeters {
  count(source: Source, batch: Batch): void;
}

/** `vision_platform_events_stored_total{source}`, `…_events_unknown_total` and `…_event_delay_seconds`. */
export function createEventMeters(registry: Registry): EventMeters {
  const registers = [registry];
  const stored = new Counter({
    name: "vision_platform_events_stored_total",
    help: "Events stored",
    labelNames: ["source"],
    registers,
  });
  const unknown = new Counter({
    name: "vision_platform_events_unknown_total",
    help: "Stored events of a type not known here",
    registers,
  });
  const delay = new Histogram({
    name: "vision_platform_event_delay_seconds",
    help: "From the newest event of a batch, by its writer's clock, to its storing",
    labelNames: ["source"],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  return {
    count(source, batch) {
      stored.inc({ source }, batch.accepted.length);
      unknown.inc(batch.unknown);
      const newest = batch.accepted.at(-1);
      // A writer's clock may go before ours.
      if (newest) delay.observe({ source }, Math.max(0, Date.now() - Date.parse(newest.ts)) / 1000);
    },
  };
}
