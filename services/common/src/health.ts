/** `/health` (alive), `/ready` (every part it needs answers) and `/metrics` (Prometheus) of every service. */
import { Router } from "express";
import { collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** A part a service needs; rejects with the reason when it is not usable. */
export type ReadinessCheck = () => Promise<unknown>;

const CHECK_TIMEOUT_MS = 3_000;

async function outcome(check: ReadinessCheck): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  try {
    await Promise.race([check(), timeout]);
    return "ok";
  } catch (error) {
    const message = error instanceof Error ? error.message || error.name : String(error);
    return message;
  } finally {
    clearTimeout(timer);
  }
}

export interface Health {
  router: Router;
  registry: Registry;
  /** From now on `/ready` answers 503: no new work, please. */
  startDraining(): void;
}

/** 1 for each part that is usable now, so that an alert can say which one is not. */
function addReadyGauge(registry: Registry, checks: Record<string, ReadinessCheck>): void {
  new Gauge({
    name: "vision_platform_ready",
    help: "1 while this part of what the service needs is usable",
    labelNames: ["part"],
    registers: [registry],
    async collect() {
      const asked = Object.entries(checks).map(async ([part, check]) => {
        this.set({ part }, (await outcome(check)) === "ok" ? 1 : 0);
      });
      await Promise.all(asked);
    },
  });
}

/**
 * Routes for a service with the given parts, e.g. `{ postgres: () => …, redis: () => … }`. `labels` are on every metric,
 * beside `service`.
 */
export function createHealth(
  service: string,
  checks: Record<string, ReadinessCheck>,
  labels: Record<string, string> = {},
): Health {
  const registry = new Registry();
  registry.setDefaultLabels({ service, ...labels });
  collectDefaultMetrics({ register: registry });
  addReadyGauge(registry, checks);
  let draining = false;
  const router = Router();
  router.get("/health", (_request, response) => {
    response.json({ status: "ok", service });
  });
  router.get("/ready", async (_request, response) => {
    const names = Object.keys(checks);
    const results = await Promise.all(Object.values(checks).map(outcome));
    const parts = Object.fromEntries(names.map((name, index) => [name, results[index]]));
    const ready = !draining && results.every((result) => result === "ok");
    response
      .status(ready ? 200 : 503)
      .json({ status: draining ? "draining" : ready ? "ready" : "not ready", service, parts });
  });
  router.get("/metrics", async (_request, response) => {
    response.type(registry.contentType).send(await registry.metrics());
  });
  return { router, registry, startDraining: () => (draining = true) };
}
