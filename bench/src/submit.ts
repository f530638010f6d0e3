/** Accepted jobs a second and their latency, beside a bare INSERT + commit + BullMQ add on the same servers. */
import { Agent, request } from "node:http";
import { queueJobId } from "@vision-platform/contracts/names";
import type { Servers } from "@vision-platform/e2e/platform";
import { Queue } from "bullmq";
import pg from "pg";
import { type Figure, p50p99 } from "./report.ts";
import { jobBody, type Stage, setStage } from "./stage.ts";

const CONCURRENCY = 16;
const WARM_UP = 300;
const JOBS = 3000;

interface Run {
  per_second: number;
  latencies: number[];
}

/** Runs `once` JOBS times, CONCURRENCY at a time, after a warm-up that is not counted. */
async function drive(once: () => Promise<void>): Promise<Run> {
  const latencies: number[] = [];
  const lane = async (count: number) => {
    for (let index = 0; index < count; index++) {
      const begin = performance.now();
      await once();
      latencies.push(performance.now() - begin);
    }
  };
  const all = (count: number) =>
    Promise.all(Array.from({ length: CONCURRENCY }, () => lane(Math.ceil(count / CONCURRENCY))));
  await all(WARM_UP);
  latencies.length = 0;
  const begin = performance.now();
  await all(JOBS);
  return { per_second: (latencies.length / (performance.now() - begin)) * 1000, latencies };
}

function post(agent: Agent, url: string, token: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      "content-type": "application/json",
      authorization: `Bearer ${token}`,
      "content-length": Buffer.byteLength(body),
    };
    const sent = request(url, { method: "POST", agent, headers }, (response) => {
      response.resume();
      response.on("end", () =>
        response.statusCode === 201 ? resolve() : reject(new Error(`HTTP ${response.statusCode}`)),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function platformRun(stage: Stage): Promise<Run> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY });
  const body = JSON.stringify(jobBody(stage, "bench_start"));
  const run = await drive(() =>
    post(agent, `${stage.platform.gateway_url}/api/v1/training/jobs`, stage.person.token, body),
  );
  agent.destroy();
  return run;
}

async function bareRun(stage: Stage): Promise<Run> {
  const pool = new pg.Pool({ connectionString: stage.platform.database_url, max: CONCURRENCY });
  await pool.query(
    "create table bare_jobs (id integer generated always as identity primary key, spec jsonb not null, state text not null)",
  );
  const redis = new URL(stage.platform.redis_url);
  const connection = {
    host: redis.hostname,
    port: Number(redis.port),
    password: decodeURIComponent(redis.password),
    db: 14,
  };
  const queue = new Queue("bare", { connection });
  await queue.waitUntilReady();
  const spec = JSON.stringify(jobBody(stage, "bench_start"));
  const run = await drive(async () => {
    const client = await pool.connect();
    await client.query("begin");
    const inserted = await client.query("insert into bare_jobs (spec, state) values ($1, 'QUEUED') returning id", [
      spec,
    ]);
    await client.query("commit");
    client.release();
    const id = inserted.rows[0].id;
    await queue.add("train", { job_id: id, attempt: 1, traceparent: "" }, { jobId: queueJobId(id, 1), attempts: 1 });
  });
  await queue.obliterate({ force: true });
  await queue.close();
  await pool.end();
  return run;
}

export async function benchSubmit(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  const stage = await setStage(servers, { withWorkers: false, slots: 1 });
  try {
    // Bare, platform, bare: what the machine does meanwhile hits both.
    const before = await bareRun(stage);
    const platform = await platformRun(stage);
    const ratio = platform.per_second / before.per_second;
    return {
      figures: [
        {
          name: `accepted jobs/s (${CONCURRENCY} at a time)`,
          measured: `${platform.per_second.toFixed(0)}/s = ${ratio.toFixed(2)} of the limit`,
          limit: `${before.per_second.toFixed(0)}/s`,
          goal: "≥ 0.7 of the limit",
          met: ratio >= 0.7,
        },
        {
          name: "submit p50 / p99",
          measured: p50p99(platform.latencies),
          limit: p50p99(before.latencies),
          goal: "",
          met: null,
        },
      ],
      notes: [
        `submit: ${JOBS} jobs with start: true over HTTP, validated, with two event rows each; bare: one INSERT, commit, Queue.add in one process.`,
      ],
    };
  } finally {
    await stage.close();
  }
}
