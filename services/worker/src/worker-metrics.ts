/** What Prometheus sees of a worker, beside the process's own figures. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

export interface WorkerMetrics {
  attempts: Counter<"outcome">;
  events: Counter<"source">;
  launchSeconds: Histogram;
}

export function createWorkerMetrics(registry: Registry, busy: () => number): WorkerMetrics {
  const registers = [registry];
  new Gauge({
    name: "vp_worker_busy_slots",
    help: "Attempts that run now",
    registers,
    collect() {
      this.set(busy());
    },
  });
  return {
    attempts: new Counter({
      name: "vp_worker_attempts_total",
      help: "Ended attempts",
      labelNames: ["outcome"],
      registers,
    }),
    events: new Counter({
      name: "vp_worker_events_total",
      help: "Forwarded events",
      labelNames: ["source"],
      registers,
    }),
    launchSeconds: new Histogram({
      name: "vp_worker_launch_seconds",
      help: "From the queue's job to the started trainer process",
      buckets: [0.005, 0.01, 0.015, 0.025, 0.05, 0.075, 0.15, 0.5, 2],
      registers,
    }),
  };
}
