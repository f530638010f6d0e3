/** What the gateway does without being asked. */
import type { Health } from "@vision-platform/common/health";
import { Counter, Gauge } from "prom-client";
import type { JobsGateway } from "../jobs/job-parts.ts";
import type { Catalogue } from "../models/catalogue.ts";
import { addCensusGauges } from "../telemetry/census.ts";
import { addRedisGauges } from "../telemetry/redis-gauges.ts";
import { type Reconciler, startReconciler } from "./reconciler.ts";

type Background = JobsGateway & { health: Pick<Health, "registry">; catalogue: Pick<Catalogue, "manifests"> };

/** Starts the reconciler and the metrics about jobs. `stop` resolves when nothing runs any more. */
export function startBackground(gateway: Background): { stop(): Promise<void> } {
  const { registry } = gateway.health;
  const reconciler = startReconciler(gateway);
  const frameworks = gateway.catalogue.manifests().filter(({ enabled }) => enabled);
  addCensusGauges(
    gateway.db,
    registry,
    frameworks.map(({ framework }) => framework),
  );
  addRedisGauges(gateway.redis, registry);
  addReconcilerMetrics(reconciler, gateway.health);
  return {
    async stop() {
      await reconciler.stop();
      await gateway.live.close();
    },
  };
}

function addReconcilerMetrics(reconciler: Reconciler, { registry }: Pick<Health, "registry">): void {
  const registers = [registry];
  new Gauge({
    name: "vision_platform_reconciler_last_success_timestamp_seconds",
    help: "When the reconciler last looked, in seconds since 1970",
    registers,
    collect() {
      this.set(reconciler.lastSuccess() / 1000);
    },
  });
  new Counter({
    name: "vision_platform_attempts_requeued_total",
    help: "Waiting attempts that their queue had forgotten, put back by the reconciler",
    registers,
    collect() {
      this.reset();
      this.inc(reconciler.restored());
    },
  });
}
