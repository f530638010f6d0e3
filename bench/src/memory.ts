/** Memory of every service, idle and with 1,000 queued jobs. */
import { readFileSync } from "node:fs";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { type Platform, type Servers, type ServiceName, Platform as ThePlatform } from "@vision-platform/e2e/platform";
import type { Figure } from "./report.ts";
import { jobBody, setStage } from "./stage.ts";

const QUEUED = 1000;
const SETTLE_MS = 10_000;

/** Resident set in MB, pages shared between processes counted once for each of them (RSS, as `ps` shows it). */
function rss(platform: Platform, name: ServiceName): number {
  const status = readFileSync(`/proc/${platform.pid(name)}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

function measure(platform: Platform): Map<ServiceName, number> {
  return new Map(platform.names().map((name) => [name, rss(platform, name)]));
}

const settle = () => new Promise((done) => setTimeout(done, SETTLE_MS));
const total = (all: Map<ServiceName, number>) => [...all.values()].reduce((sum, each) => sum + each, 0);

export async function benchMemory(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  // As a person runs it: gateway, notifier and the two real workers.
  const platform = await ThePlatform.start({ servers, redis_db: 13 });
  await settle();
  const idle = measure(platform);
  await platform.stop();

  const stage = await setStage(servers, { withWorkers: false, slots: 1 });
  for (let index = 0; index < QUEUED; index++) {
    await stage.person.api.call(createJob, { body: jobBody(stage, "bench_start") });
  }
  await settle();
  const queued = measure(stage.platform);
  await stage.close();

  const figures: Figure[] = [...idle].map(([name, megabytes]) => {
    const loaded = queued.get(name);
    const measured = `${megabytes.toFixed(0)} MB${loaded === undefined ? "" : `; ${loaded.toFixed(0)} MB with ${QUEUED} queued jobs`}`;
    return { name: `memory of ${name}`, measured, limit: "", goal: "", met: null };
  });
  const sum = total(idle);
  figures.push({
    name: "services together, idle",
    measured: `${sum.toFixed(0)} MB`,
    limit: "",
    goal: "≤ 400 MB",
    met: sum <= 400,
  });
  return {
    figures,
    notes: [
      "memory: resident set of each Node process ten seconds after it was ready; queued jobs wait without a worker of their framework.",
    ],
  };
}
