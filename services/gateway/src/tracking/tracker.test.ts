import { setTimeout as sleep } from "node:timers/promises";
import { cancelJob, getJob } from "@vision-platform/contracts/api/jobs";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Claimed, event, type JobWorld, startJobWorld } from "../jobs/job-testing.ts";
import { type MlflowServer, mlflowServer } from "./mlflow-server.ts";
import { startTracker, type Tracker } from "./tracker.ts";

const Run = z.object({
  info: z.object({ run_id: z.string(), status: z.string(), run_name: z.string(), end_time: z.number().optional() }),
  data: z.object({
    metrics: z.array(z.object({ key: z.string(), value: z.number(), step: z.number() })).default([]),
    params: z.array(z.object({ key: z.string(), value: z.string() })).default([]),
    tags: z.array(z.object({ key: z.string(), value: z.string() })).default([]),
  }),
  inputs: z
    .object({ dataset_inputs: z.array(z.object({ dataset: z.object({ name: z.string(), digest: z.string() }) })) })
    .optional(),
});

let world: JobWorld;
let mlflow: MlflowServer;
const trackers: Tracker[] = [];

function track(): Tracker {
  const config = { ...world.gateway.config, MLFLOW_TRACKING_URI: mlflow.url };
  const tracker = startTracker({ ...world.gateway, config, health: { registry: new Registry() } });
  trackers.push(tracker);
  return tracker;
}

const metrics = (src_seq: number, step: number, values: Record<string, number | null>, scope = "epoch") =>
  event(src_seq, "metrics", { scope, split: "train", epoch: step, step, values });

async function runsOf(job_id: number): Promise<z.infer<typeof Run>[]> {
  const { experiment } = z
    .object({ experiment: z.object({ experiment_id: z.string() }) })
    .parse(await mlflow.ask("experiments/get-by-name?experiment_name=A%20project"));
  const found = await mlflow.ask("runs/search", {
    experiment_ids: [experiment.experiment_id],
    filter: `tags.\`vision_platform.job_id\` = '${job_id}'`,
  });
  return z.object({ runs: z.array(Run).default([]) }).parse(found).runs;
}

async function history(run_id: string, key: string): Promise<[number, number][]> {
  const answer = await mlflow.ask(`metrics/get-history?run_id=${run_id}&metric_key=${encodeURIComponent(key)}`);
  const point = z.object({ step: z.number(), value: z.number() });
  return z
    .object({ metrics: z.array(point).default([]) })
    .parse(answer)
    .metrics.map(({ step, value }): [number, number] => [step, value]);
}

/** The job's only run, once it has that status. */
async function runWith(job_id: number, status: string): Promise<z.infer<typeof Run>> {
  for (let tries = 0; tries < 300; tries += 1) {
    const runs = await runsOf(job_id).catch(() => []);
    expect(runs.length).toBeLessThanOrEqual(1);
    if (runs[0]?.info.status === status) return runs[0];
    await sleep(100);
  }
  throw new Error(`job ${job_id} has no run that is ${status}`);
}

async function deliver(job: Claimed, src_seq: number): Promise<void> {
  await job.deliver(src_seq);
  expect((await job.finish("succeeded", { exit_code: 0 })).state).toBe("SUCCEEDED");
}

beforeAll(async () => {
  [world, mlflow] = await Promise.all([startJobWorld({ background: false }), mlflowServer()]);
  await mlflow.start();
}, 240_000);
afterAll(async () => {
  await Promise.all(trackers.map((tracker) => tracker.stop()));
  await Promise.all([mlflow?.remove(), world?.stop()]);
});

describe("MLflow", { timeout: 90_000 }, () => {
  it("gets every training: parameters, metrics at their steps, tags, dataset, artifacts by reference", async () => {
    const first = track();
    const job = await world.running({ name: "first training", config: { mixup: 0.25 }, tags: ["nightly"] });
    await job.push([
      metrics(1, 1, { "train/loss": 2.5, "val/top1": 0.5 }),
      metrics(2, 5, { "train/loss": 2.25 }, "step"),
    ]);
    const running = await runWith(job.job_id, "RUNNING");
    expect(running.info.run_name).toBe("first training");
    const shown = await world.owner.call(getJob, { params: { job_id: job.job_id } });
    expect(shown.mlflow_run_id).toBe(running.info.run_id);
    await job.push([metrics(3, 2, { "train/loss": 1.5, "val/top1": 0.75, "val/loss": null })]);
    await deliver(job, 4);

    const run = await runWith(job.job_id, "FINISHED");
    expect(run.info.end_time).toBeGreaterThan(0);
    expect(await history(run.info.run_id, "train/loss")).toEqual([
      [1, 2.5],
      [2, 1.5],
    ]);
    expect(await history(run.info.run_id, "train/loss_step")).toEqual([[5, 2.25]]);
    expect(await history(run.info.run_id, "val/loss")).toEqual([]);
    const params = Object.fromEntries(run.data.params.map(({ key, value }) => [key, value]));
    expect(params).toMatchObject({
      model_name: "test_resnet",
      epochs: "2",
      learning_rate: "0.1",
      "config.mixup": "0.25",
    });
    const tags = Object.fromEntries(run.data.tags.map(({ key, value }) => [key, value]));
    expect(tags).toMatchObject({
      "mlflow.user": "owner@example.org",
      "vision_platform.project": "A project",
      "vision_platform.attempt": "1",
      "vision_platform.dataset_version": "1",
      "vision_platform.state": "SUCCEEDED",
      "vision_platform.tags": "nightly",
    });
    expect(tags["vision_platform.trace_id"]).toMatch(/^[0-9a-f]{32}$/);
    const references = Object.entries(tags).filter(([key]) => key.startsWith("artifact."));
    expect(references.length).toBeGreaterThan(0);
    for (const [, reference] of references) expect(reference).toMatch(/^s3:\/\/.+ sha256=[0-9a-f]{64}$/);
    expect(run.inputs?.dataset_inputs[0]?.dataset.digest).toBe(`d${world.dataset_id}v1`);
    await first.stop();
  });

  it("misses nothing and repeats nothing when it was away, and delays no training", async () => {
    await mlflow.stop();
    const before = track();
    const job = await world.running();
    const points = Array.from({ length: 700 }, (_, index) =>
      metrics(index + 1, index + 1, { "train/loss": 1 / (index + 1) }),
    );
    for (let at = 0; at < points.length; at += 350) await job.push(points.slice(at, at + 350));
    await deliver(job, 701);
    await sleep(2_500);
    await before.stop();

    await mlflow.start();
    // Two gateways at once, as in production.
    const both = [track(), track()];
    const run = await runWith(job.job_id, "FINISHED");
    const told = await history(run.info.run_id, "train/loss");
    expect(told.map(([step]) => step)).toEqual(points.map((_, index) => index + 1));
    // What was told once is not told again after the cursor is lost with the gateway.
    await world.gateway.db
      .updateTable("mlflow_runs")
      .set({ seq: 0, ended: false })
      .where("job_id", "=", job.job_id)
      .execute();
    await sleep(3_000);
    expect(await history(run.info.run_id, "train/loss")).toHaveLength(700);
    await Promise.all(both.map((tracker) => tracker.stop()));
  });

  it("shows how a training ended, and leaves out what never began", async () => {
    const tracker = track();
    const failed = await world.running();
    await failed.finish("failed", { exit_code: 10, failure: { code: "DIVERGED", message: "the loss is not finite" } });
    const waiting = await world.queued();
    await world.owner.call(cancelJob, { params: { job_id: waiting } });
    const run = await runWith(failed.job_id, "FAILED");
    expect(run.data.tags).toContainEqual({ key: "vision_platform.failure", value: "DIVERGED: the loss is not finite" });
    expect(await runsOf(waiting)).toEqual([]);
    await tracker.stop();
  });

  it("gives up on a run that MLflow refuses for good, and goes on with the others", async () => {
    const doomed = await world.running();
    const tracker = track();
    const run = await runWith(doomed.job_id, "RUNNING");
    await mlflow.ask("runs/delete", { run_id: run.info.run_id });
    await doomed.push([metrics(1, 1, { "train/loss": 1 })]);
    const other = await world.running();
    await runWith(other.job_id, "RUNNING");
    const refused = () =>
      world.gateway.db
        .selectFrom("mlflow_runs")
        .selectAll()
        .where("job_id", "=", doomed.job_id)
        .executeTakeFirstOrThrow();
    for (let tries = 0; tries < 100 && (await refused()).refusals === 0; tries += 1) await sleep(100);
    expect(await refused()).toMatchObject({ refusals: 1, ended: false });
    expect((await refused()).error).toContain("MLflow answers 4");
    await tracker.stop();
  });
});
