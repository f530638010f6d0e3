/** From the commit that queues a job to the trainer process' first instruction, beside fork/exec of the same command. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { allEvents, untilOver } from "@vision-platform/e2e/person";
import type { Servers } from "@vision-platform/e2e/platform";
import { type Figure, p50p99, quantile } from "./report.ts";
import { jobBody, setStage } from "./stage.ts";

const JOBS = 60;
const WARM_UP = 5;
const SCRIPT = resolve(import.meta.dirname, "../trainer/start.sh");
const now = () => performance.timeOrigin + performance.now();

async function forkAndExec(): Promise<number> {
  const begin = now();
  const child = spawn("/bin/sh", [SCRIPT], { stdio: ["ignore", "pipe", "ignore"], detached: true });
  const [text] = await once(child.stdout, "data");
  return Number(String(text)) * 1000 - begin;
}

export async function benchStart(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  const stage = await setStage(servers, { withWorkers: true, slots: 1 });
  try {
    const platform: number[] = [];
    const bare: number[] = [];
    for (let index = 0; index < WARM_UP + JOBS; index++) {
      const job = await stage.person.api.call(createJob, { body: jobBody(stage, "bench_start") });
      await untilOver(stage.person, job.id, 30);
      const events = await allEvents(stage.person, job.id);
      const queued = events.find((event) => event.type === "state" && event.data.state === "QUEUED");
      const line = events.find((event) => event.type === "log" && /^\d+\.\d+$/.test(String(event.data.message)));
      if (index >= WARM_UP) platform.push(Number(line?.data.message) * 1000 - Date.parse(queued?.ts ?? ""));
      bare.push(await forkAndExec());
    }
    const p50 = quantile(platform, 0.5);
    const p99 = quantile(platform, 0.99);
    return {
      figures: [
        {
          name: "commit → trainer process started, p50 / p99",
          measured: p50p99(platform),
          limit: p50p99(bare),
          goal: "p50 ≤ 15 ms, p99 ≤ 75 ms",
          met: p50 <= 15 && p99 <= 75,
        },
      ],
      notes: [
        `start: ${JOBS} jobs, one after the other, an idle worker; from the time of the transaction that queues the job (an upper bound: it commits a little later) to the script's own clock; limit: spawn of the same script from Node.`,
      ],
    };
  } finally {
    await stage.close();
  }
}
