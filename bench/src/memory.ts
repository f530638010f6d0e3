/** Memory of every service, idle and with 1,000 queued jobs. */
import { readFileSync } from "node:fs";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { type Platform, type Servers, type ServiceName, Platform as ThePlatform } from "@vision-platform/e2e/platform";
import type { Figure } from "./report.ts";
import { jobBody, setStage } from "./stage.ts";

const QUEUED = 1000;
const SETTLE_MS = 10_000;

/** In MB. `rss` counts what processes share (Node's own binary) in each of them, `pss` once in all. */
interface Memory {
  rss: number;
  pss: number;
}

export function memoryOf(platform: Platform, name: ServiceName): Memory {
  const rollup = readFileSync(`/proc/${platform.pid(name)}/smaps_rollup`, "utf8");
  const read = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(rollup)?.[1]) / 1024;
  return { rss: read("Rss"), pss: read("Pss") };
}

function measure(platform: Platform): Map<ServiceName, Memory> {
  return new Map(platform.names().map((name) => [name, memoryOf(platform, name)]));
}

const settle = () => new Promise((done) => setTimeout(done, SETTLE_MS));
const total = (all: Map<ServiceName, Memory>, kind: keyof Memory) =>
  [...all.values()].reduce((sum, each) => sum + each[kind], 0);
const both = ({ rss, pss }: Memory) => `${pss.toFixed(0)} MB (RSS ${rss.toFixed(0)})`;

export async function benchMemory(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  // As a person runs it: gateway, notifier and the two real workers.
  const platform = await ThePlatform.start({ servers, redis_db: 13 });
  await settle();
  const idle = measure(platform);
  await platform.stop();

  const stage = await setStage(servers, { withWorkers: false, slots: 1, idleWorkers: ["bench_events"] });
  for (let index = 0; index < QUEUED; index++) {
    await stage.person.api.call(createJob, { body: jobBody(stage, "bench_start") });
  }
  await settle();
  const queued = measure(stage.platform);
  await stage.close();

  const figures: Figure[] = [...idle].map(([name, memory]) => {
    // A worker is a worker: the queued jobs are of a framework that has none, so that they stay queued.
    const loaded = queued.get(name.startsWith("worker-") ? "worker-bench_events" : name);
    const measured = `${both(memory)}${loaded === undefined ? "" : `; ${both(loaded)} with ${QUEUED} queued jobs`}`;
    return { name: `memory of ${name}`, measured, limit: "", goal: "", met: null };
  });
  const sum = total(idle, "pss");
  figures.push({
    name: "services together, idle",
    measured: `${sum.toFixed(0)} MB (RSS added up ${total(idle, "rss").toFixed(0)})`,
    limit: "",
    goal: "≤ 400 MB",
    met: sum <= 400,
  });
  return {
    figures,
    notes: [
      "memory: proportional set size (PSS: a page that processes share, such as Node's own binary, counts once in all) and RSS, ten seconds after the service was ready; queued jobs wait without a worker of their framework.",
    ],
  };
}
