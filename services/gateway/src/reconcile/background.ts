/** What the gateway does without being asked. */
import type { Health } from "@vision-platform/common/health";
import { JOB_STATES } from "@vision-platform/contracts/job-state";
import { Gauge } from "prom-client";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { takeCensus } from "./reconcile.repository.ts";
import { startReconciler } from "./reconciler.ts";

/** Starts the reconciler and the metrics about jobs. `stop` resolves when nothing runs any more. */
export function startBackground(gateway: JobsGateway & { health: Pick<Health, "registry"> }): {
  stop(): Promise<void>;
} {
  const reconciler = startReconciler(gateway);
  const registers = [gateway.health.registry];
  const oldest = new Gauge({
    name: "vp_oldest_queued_seconds",
    help: "Age of the longest-waiting QUEUED job",
    registers,
  });
  new Gauge({
    name: "vp_jobs",
    help: "Jobs by state",
    labelNames: ["state"],
    registers,
    async collect() {
      const census = await takeCensus(gateway.db);
      for (const state of JOB_STATES) this.set({ state }, 0);
      for (const { state, jobs } of census.counts) this.set({ state }, jobs);
      oldest.set(census.oldest_queued_s);
    },
  });
  new Gauge({
    name: "vp_reconciler_last_success_seconds",
    help: "When the reconciler last looked, in seconds since 1970",
    registers,
    collect() {
      this.set(reconciler.lastSuccess() / 1000);
    },
  });
  return {
    async stop() {
      await reconciler.stop();
      await gateway.live.close();
    },
  };
}
