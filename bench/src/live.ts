/** Event in the trainer → socket, at two rates and with three numbers of sockets; beside XADD → XREAD → emit alone. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { cancelJob, createJob } from "@vision-platform/contracts/api/jobs";
import { untilJob, untilOver } from "@vision-platform/e2e/person";
import type { Servers } from "@vision-platform/e2e/platform";
import { bareServer, bareTrainer } from "./bare-live.ts";
import { type Figure, p50p99, quantile } from "./report.ts";
import type { SocketsReport, SocketsTask } from "./sockets.ts";
import { jobBody, type Stage, setStage } from "./stage.ts";

/** Trainings at the same time; each socket watches one, so an event goes to a tenth of the sockets. */
const JOBS = 10;
const SECONDS = 8;
const RATES = [100, 1000];
const SOCKETS = [1, 100, 1000];

/** Runs the clients in a process of their own until `task.until`. */
export async function sockets(task: SocketsTask): Promise<SocketsReport> {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, "sockets.ts"), JSON.stringify(task)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => (text += String(chunk)));
  await once(child, "close");
  return JSON.parse(text) as SocketsReport;
}

const waitFor = (count: number) => 2 + count / 250;

async function overPlatform(stage: Stage, rate: number, count: number): Promise<SocketsReport> {
  const config = { rate: rate / JOBS, seconds: SECONDS, wait_s: waitFor(count) };
  const jobs = await Promise.all(
    Array.from({ length: JOBS }, () =>
      stage.person.api.call(createJob, { body: jobBody(stage, "bench_events", config) }),
    ),
  );
  const job_ids = jobs.map((job) => job.id);
  await Promise.all(job_ids.map((id) => untilJob(stage.person, id, (job) => job.state !== "QUEUED", 60)));
  const until = Date.now() + (waitFor(count) + SECONDS + 3) * 1000;
  const task = { url: stage.platform.notifier_url, token: stage.person.token, job_ids, sockets: count, until };
  const report = await sockets({ ...task, road: "platform" });
  for (const job_id of job_ids) await stage.person.api.call(cancelJob, { params: { job_id } }).catch(() => undefined);
  await Promise.all(job_ids.map((id) => untilOver(stage.person, id, 60)));
  return report;
}

async function bare(stage: Stage, rate: number, count: number): Promise<SocketsReport> {
  const job_ids = Array.from({ length: JOBS }, (_, index) => index);
  const server = await bareServer(stage.platform.redis_url, job_ids);
  const until = Date.now() + (waitFor(count) + SECONDS + 2) * 1000;
  const listening = sockets({ url: server.url, token: "", job_ids, sockets: count, until, road: "bare" });
  await new Promise((done) => setTimeout(done, waitFor(count) * 1000));
  await bareTrainer(stage.platform.redis_url, rate, SECONDS);
  const report = await listening;
  await server.close();
  return report;
}

const share = (report: SocketsReport, rate: number, count: number) =>
  report.received / (rate * SECONDS * Math.max(1 / JOBS, count / JOBS));

export async function benchLive(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  const stage = await setStage(servers, { withWorkers: true, slots: JOBS });
  const figures: Figure[] = [];
  try {
    for (const rate of RATES) {
      for (const count of SOCKETS) {
        const platform = await overPlatform(stage, rate, count);
        const limit = await bare(stage, rate, count);
        const arrived = share(platform, rate, count);
        const [p50, p99] = [quantile(platform.ages, 0.5), quantile(platform.ages, 0.99)];
        figures.push({
          name: `trainer → socket, ${rate} events/s, ${count} socket${count > 1 ? "s" : ""}, p50 / p99`,
          measured: `${p50p99(platform.ages)} (${(arrived * 100).toFixed(0)} % arrived in time)`,
          limit: `${p50p99(limit.ages)} (${(share(limit, rate, count) * 100).toFixed(0)} %)`,
          goal: "p50 ≤ 20 ms, p99 ≤ 100 ms",
          met: p50 <= 20 && p99 <= 100 && arrived > 0.99,
        });
        process.stderr.write(`live ${rate}/s × ${count}: ${figures.at(-1)?.measured}\n`);
      }
    }
  } finally {
    await stage.close();
  }
  const notes = [
    `live: ${JOBS} trainer processes share the rate; each socket watches one of them, so ${RATES.at(-1)} events/s to ${SOCKETS.at(-1)} sockets are ${((RATES.at(-1) ?? 0) * (SOCKETS.at(-1) ?? 0)) / JOBS} deliveries/s; trainers, services, servers and all clients share this machine's cores.`,
  ];
  return { figures, notes };
}
