/** How many events came in, for Prometheus. */
import { Counter, type Registry } from "prom-client";
import type { Batch, Source } from "./event-batch.ts";

export interface EventMeters {
  count(source: Source, batch: Batch): void;
}

/** Counters `vp_events_total{source}` and `vp_unknown_events_total`. */
export function createEventMeters(registry: Registry): EventMeters {
  const registers = [registry];
  const stored = new Counter({ name: "vp_events_total", help: "Events stored", labelNames: ["source"], registers });
  const unknown = new Counter({
    name: "vp_unknown_events_total",
    help: "Stored events of a type not known here",
    registers,
  });
  return {
    count(source, batch) {
      stored.inc({ source }, batch.accepted.length);
      unknown.inc(batch.unknown);
    },
  };
}
