/** What one gateway takes in: events of many attempts at once, lease renewals; and what an event costs Postgres. */
import { performance } from "node:perf_hooks";
import { type ApiClient, createApiClient } from "@vision-platform/common/api-client";
import { type AttemptSpec, claimAttempt, pushEvents, renewLease } from "@vision-platform/contracts/api/internal";
import { createJob } from "@vision-platform/contracts/api/jobs";
import type { Servers } from "@vision-platform/e2e/platform";
import pg from "pg";
import { sockets } from "./live.ts";
import { memoryOf } from "./memory.ts";
import { type Figure, p50p99 } from "./report.ts";
import { jobBody, type Stage, setStage } from "./stage.ts";

const ATTEMPTS = 50;
const SECONDS = 10;
/** As a worker gathers them in a busy second. */
const BATCHES = [1, 20, 200];
/** Clients that watch a job in which nothing happens. */
const SOCKETS = 2_000;
const CONNECT_S = 30;
/** A worker renews each of its attempts so often. */
const RENEW_EVERY_S = 3;

interface Running {
  spec: AttemptSpec;
  src_seq: number;
}

/** The metrics of a step, as a classification trainer sends them. */
function stepEvent(src_seq: number) {
  const values = { "train/loss": 0.4231, "train/lr": 0.00031, "perf/samples_per_s": 1412.7 };
  const data = { scope: "step", split: "train", epoch: 3, step: src_seq, values };
  return { v: 1 as const, type: "metrics", ts: new Date().toISOString(), src_seq, data };
}

async function startAttempts(stage: Stage, internal: ApiClient): Promise<Running[]> {
  const running: Running[] = [];
  for (let index = 0; index < ATTEMPTS; index++) {
    const job = await stage.person.api.call(createJob, { body: jobBody(stage, "bench_events") });
    const params = { job_id: job.id, attempt: 1 };
    const spec = await internal.call(claimAttempt, { params, body: { worker_id: `bench/${index}`, host: "bench" } });
    running.push({ spec, src_seq: 0 });
  }
  return running;
}

const fence = ({ spec }: Running) => ({
  params: { job_id: spec.job_id, attempt: spec.attempt },
  lease_token: spec.lease_token,
});

/** Keeps the leases, as workers do beside their events; answers with how to stop. */
function keepLeases(internal: ApiClient, running: Running[]): () => void {
  const renew = (each: Running) => {
    const { params, lease_token } = fence(each);
    return internal.call(renewLease, { params, body: { lease_token } });
  };
  const timer = setInterval(() => void Promise.allSettled(running.map(renew)), RENEW_EVERY_S * 1000);
  return () => clearInterval(timer);
}

/** Runs `call` for every attempt again and again; answers with the calls per second and how long each took. */
async function hammer(running: Running[], call: (each: Running) => Promise<unknown>) {
  const took: number[] = [];
  const began = performance.now();
  const end = began + SECONDS * 1000;
  await Promise.all(
    running.map(async (each) => {
      while (performance.now() < end) {
        const before = performance.now();
        await call(each);
        took.push(performance.now() - before);
      }
    }),
  );
  return { perSecond: took.length / ((performance.now() - began) / 1000), took };
}

async function ingest(internal: ApiClient, running: Running[], batch: number) {
  return await hammer(running, async (each) => {
    const { params, lease_token } = fence(each);
    const events = Array.from({ length: batch }, () => stepEvent(++each.src_seq));
    await internal.call(pushEvents, { params, body: { lease_token, source: "trainer", events } });
  });
}

/** Bytes of the event table, its indexes included, and its rows. */
async function eventTable(client: pg.Client): Promise<{ bytes: number; rows: number }> {
  await client.query("vacuum analyze job_events");
  const { rows } = await client.query<{ bytes: string; rows: string }>(
    "select pg_total_relation_size('job_events') as bytes, count(*) as rows from job_events",
  );
  return { bytes: Number(rows[0]?.bytes), rows: Number(rows[0]?.rows) };
}

/** Memory of the notifier with many idle clients, each subscribed to a job, and how many of them came in. */
async function idleSockets(stage: Stage, running: Running[]): Promise<Figure> {
  const before = memoryOf(stage.platform, "notifier").rss;
  const job_ids = running.map(({ spec }) => spec.job_id);
  const until = Date.now() + CONNECT_S * 1000;
  const task = { url: stage.platform.notifier_url, token: stage.person.token, job_ids, sockets: SOCKETS, until };
  const clients = sockets({ ...task, road: "platform" });
  await new Promise((done) => setTimeout(done, (CONNECT_S - 3) * 1000));
  const after = memoryOf(stage.platform, "notifier").rss;
  const { connected } = await clients;
  const each = ((after - before) * 1024) / Math.max(1, connected);
  const measured = `${connected} connected; RSS ${before.toFixed(0)} → ${after.toFixed(0)} MB: ${each.toFixed(0)} KB each`;
  return figure(`memory of a notifier with ${SOCKETS} subscribed sockets`, measured);
}

function figure(name: string, measured: string): Figure {
  return { name, measured, limit: "", goal: "", met: null };
}

export async function benchCapacity(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  const stage = await setStage(servers, { withWorkers: false, slots: 1 });
  const figures: Figure[] = [];
  const internal = createApiClient(stage.platform.gateway_url, stage.platform.internal_token);
  const client = new pg.Client({ connectionString: stage.platform.database_url });
  try {
    await client.connect();
    const running = await startAttempts(stage, internal);
    const renewals = await hammer(running, (each) => {
      const { params, lease_token } = fence(each);
      return internal.call(renewLease, { params, body: { lease_token } });
    });
    const held = Math.floor(renewals.perSecond * RENEW_EVERY_S);
    figures.push(
      figure(
        "lease renewals/s, one gateway",
        `${Math.round(renewals.perSecond)}/s (${p50p99(renewals.took)}): ${held} trainings`,
      ),
    );
    const letGo = keepLeases(internal, running);
    for (const batch of BATCHES) {
      const { perSecond, took } = await ingest(internal, running, batch);
      const rate = Math.round(perSecond * batch);
      figures.push(figure(`events/s ingested, ${batch} in a call, one gateway`, `${rate}/s (${p50p99(took)} a call)`));
      process.stderr.write(`capacity: ${figures.at(-1)?.name}: ${figures.at(-1)?.measured}\n`);
    }
    letGo();
    figures.push(await idleSockets(stage, running));
    const { bytes, rows } = await eventTable(client);
    const size = bytes / rows;
    figures.push(
      figure(
        "bytes per event in Postgres, indexes included",
        `${Math.round(size)} B (${rows} events): ${Math.round(size)} MB per million`,
      ),
    );
  } finally {
    await client.end();
    await stage.close();
  }
  const notes = [
    `capacity: ${ATTEMPTS} attempts, whose leases are renewed beside it, push step metrics (three values) as fast as they are answered, ${SECONDS} s each; gateway, Postgres, Redis, notifier and the client share this machine's cores. Renewals: how many trainings one gateway could keep, at one renewal every ${RENEW_EVERY_S} s each, if it did nothing else.`,
  ];
  return { figures, notes };
}
