/** What Prometheus and an autoscaler see of jobs, attempts and workers: figures of the database, the same in every gateway. */
import { askedOnce } from "@vision-platform/common/asked-once";
import { JOB_STATES } from "@vision-platform/contracts/job-state";
import { Gauge, type Registry } from "prom-client";
import type { Db } from "../db/db.ts";
import { type FrameworkCensus, takeCensus } from "./census.repository.ts";

/** Several who ask within this time share one look at the database. */
const FRESH_MS = 5_000;
const NOBODY: Omit<FrameworkCensus, "framework"> = { waiting: 0, running: 0, oldest_waiting_s: 0, workers: 0 };

/**
 * `frameworks` are shown also when they have nothing to do: an autoscaler needs the zero. While Postgres does not answer
 * nothing is shown: the other metrics must be told all the same, that of the missing part first of all.
 */
export function addCensusGauges(db: Db, registry: Registry, frameworks: readonly string[]): void {
  const census = askedOnce(() => takeCensus(db), { freshMs: FRESH_MS });
  const registers = [registry];
  const perFramework = (name: string, help: string, read: (found: Omit<FrameworkCensus, "framework">) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["framework"],
      registers,
      async collect() {
        this.reset();
        const taken = await census();
        if (taken === undefined) return;
        const found = new Map(taken.frameworks.map((each) => [each.framework, each]));
        for (const framework of new Set([...frameworks, ...found.keys()])) {
          this.set({ framework }, read(found.get(framework) ?? NOBODY));
        }
      },
    });
  perFramework("vision_platform_attempts_waiting", "Queued attempts that may start now", (each) => each.waiting);
  perFramework("vision_platform_attempts_running", "Attempts that a worker has", (each) => each.running);
  perFramework(
    "vision_platform_oldest_waiting_seconds",
    "Time since the longest-waiting job was queued",
    (each) => each.oldest_waiting_s,
  );
  perFramework("vision_platform_workers", "Workers that are there and take jobs", (each) => each.workers);
  new Gauge({
    name: "vision_platform_leases_near_expiry",
    help: "Attempts whose worker has not renewed its lease three times",
    registers,
    async collect() {
      const taken = await census();
      if (taken === undefined) this.remove();
      else this.set(taken.leases_near_expiry);
    },
  });
  new Gauge({
    name: "vision_platform_jobs",
    help: "Jobs by state",
    labelNames: ["state"],
    registers,
    async collect() {
      this.reset();
      const states = (await census())?.states;
      if (states === undefined) return;
      for (const state of JOB_STATES) this.set({ state }, states.find((each) => each.state === state)?.jobs ?? 0);
    },
  });
}
