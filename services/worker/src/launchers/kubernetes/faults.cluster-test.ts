/** What can go wrong in a cluster, each through the whole platform: gateway, worker, Job, events, result. */
import { setTimeout as sleep } from "node:timers/promises";
import type { V1Job } from "@kubernetes/client-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { eventually } from "../../testing/platform.ts";
import type { ScriptStep } from "../../testing/script.ts";
import type { WorkerProcess } from "../../testing/worker-process.ts";
import { type JobPlatform, startJobPlatform } from "./testing/job-platform.ts";

let on: JobPlatform;
const workers: WorkerProcess[] = [];
beforeAll(async () => {
  on = await startJobPlatform();
});
afterEach(async () => {
  on.api.open();
  for (const worker of workers.splice(0)) {
    worker.kill("SIGKILL");
    await worker.ended;
  }
  // What a killed worker left behind is nobody's any more: each test has jobs of its own.
  for (const job of await on.jobs()) {
    await on.namespace.cluster.batch.deleteNamespacedJob({
      name: job.metadata?.name ?? "",
      namespace: on.namespace.name,
      propagationPolicy: "Foreground",
    });
  }
});
afterAll(() => on?.stop());

const LIMIT_MS = 60_000;
const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);
const TRAINING: ScriptStep = { do: "event", type: "phase", data: { name: "training" } };
const SUCCEED: ScriptStep = { do: "succeed", metrics: { "val/top1": 1 } };
const HANGS_ONCE: ScriptStep[] = [TRAINING, { do: "sleep", ms: 600_000, attempt: 1 }, SUCCEED];

async function startWorker(settings: object = {}, environment: Record<string, string> = {}): Promise<WorkerProcess> {
  const worker = await on.worker(settings, environment);
  workers.push(worker);
  return worker;
}

const untilOver = (job_id: number) => on.platform.until(job_id, over, LIMIT_MS);
const untilTraining = (job_id: number) =>
  on.platform.until(job_id, (job) => job.phase === "training" || over(job), LIMIT_MS);

async function jobOf(job_id: number, attempt: number): Promise<V1Job | undefined> {
  return (await on.jobs()).find(({ metadata }) => metadata?.name === `vp-${job_id}-a${attempt}`);
}

/** Nothing of a job may be left once it is over: no Job, no pod. */
async function untilClean(): Promise<void> {
  await eventually(
    async () => ((await on.jobs()).length + (await on.pods()).length === 0 ? true : undefined),
    LIMIT_MS,
  );
}

async function outcomes(job_id: number): Promise<unknown[]> {
  const events = await on.platform.events(job_id);
  return events.filter(({ data }) => data.status === "ended").map(({ data }) => data.outcome);
}

describe("a training as a Job", () => {
  it("succeeds, its events and its log complete, and leaves nothing in the cluster", async () => {
    await startWorker();
    const lines = { do: "print" as const, text: "a line of the log\n" };
    const job_id = await on.platform.submit([TRAINING, lines, { do: "steps", count: 20, every_ms: 5 }, SUCCEED]);
    expect(await untilOver(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    const events = await on.platform.events(job_id);
    expect(events.filter(({ type }) => type === "progress")).toHaveLength(20);
    expect(events.filter(({ data }) => String(data.message).includes("a line of the log"))).toHaveLength(1);
    await untilClean();
  });
});

describe("a worker killed with -9", () => {
  it("leaves its Job running; the next worker takes it over without a second launch or a lost event", async () => {
    const first = await startWorker();
    const script: ScriptStep[] = [
      TRAINING,
      { do: "print", text: "before\n" },
      { do: "steps", count: 120, every_ms: 100 },
      { do: "print", text: "after\n" },
      SUCCEED,
    ];
    const job_id = await on.platform.submit(script);
    await untilTraining(job_id);
    const launched = await jobOf(job_id, 1);
    first.kill("SIGKILL");
    await first.ended;
    await sleep(2_000);
    await startWorker();
    const adopted = await jobOf(job_id, 1);
    expect(adopted?.metadata?.uid).toBe(launched?.metadata?.uid ?? "none");
    expect(await untilOver(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    const events = await on.platform.events(job_id);
    const steps = events.filter(({ type }) => type === "progress").map(({ data }) => data.step);
    expect(steps).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
    const log = events.filter(({ type }) => type === "log").map(({ data }) => String(data.message));
    expect(log.join("\n").match(/before/g)).toHaveLength(1);
    expect(log.join("\n").match(/after/g)).toHaveLength(1);
    expect(await outcomes(job_id)).toEqual(["succeeded"]);
    await untilClean();
  });
});

describe("a worker that is stopped", () => {
  it("ends at once, its Job runs on, and the next worker brings it to its end", async () => {
    const first = await startWorker();
    const job_id = await on.platform.submit([TRAINING, { do: "steps", count: 120, every_ms: 100 }, SUCCEED]);
    await untilTraining(job_id);
    expect(await first.stop()).toBe(0);
    expect((await jobOf(job_id, 1))?.status?.active).toBe(1);
    await startWorker();
    expect(await untilOver(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    const steps = (await on.platform.events(job_id)).filter(({ type }) => type === "progress");
    expect(steps.map(({ data }) => data.step)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
    expect(await outcomes(job_id)).toEqual(["succeeded"]);
    await untilClean();
  });
});

describe("a pod or a Job that is taken away", () => {
  it("a Job removed by hand: the training goes on in a new attempt", async () => {
    await startWorker();
    const job_id = await on.platform.submit(HANGS_ONCE);
    await untilTraining(job_id);
    await on.namespace.cluster.batch.deleteNamespacedJob({
      name: `vp-${job_id}-a1`,
      namespace: on.namespace.name,
      propagationPolicy: "Background",
    });
    expect(await untilOver(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    await untilClean();
  });

  it("a pod evicted through the eviction API: preempted, and resumed in a new attempt", async () => {
    await startWorker();
    const job_id = await on.platform.submit(HANGS_ONCE);
    await untilTraining(job_id);
    const name = (await on.podOf(job_id, 1)).metadata?.name ?? "";
    await on.namespace.cluster.core.createNamespacedPodEviction({
      name,
      namespace: on.namespace.name,
      body: { metadata: { name, namespace: on.namespace.name } },
    });
    expect(await untilOver(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    expect(await outcomes(job_id)).toEqual(["preempted", "succeeded"]);
    await untilClean();
  });

  it("a pod killed at once, without a grace: the training goes on in a new attempt", async () => {
    await startWorker();
    const job_id = await on.platform.submit(HANGS_ONCE);
    await untilTraining(job_id);
    const name = (await on.podOf(job_id, 1)).metadata?.name ?? "";
    await on.namespace.cluster.core.deleteNamespacedPod({ name, namespace: on.namespace.name, gracePeriodSeconds: 0 });
    expect(await untilOver(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    await untilClean();
  });
});

describe("a pod that does not start", () => {
  it("an image that is not there fails the job with a hint", async () => {
    await startWorker({}, { IMAGE_TAG: "no-such-tag" });
    const job_id = await on.platform.submit([SUCCEED]);
    const job = await untilOver(job_id);
    expect(job).toMatchObject({ state: "FAILED", failure: { code: "IMAGE_MISSING" } });
    expect(job.failure?.message).toContain("no-such-tag");
    await untilClean();
  });

  it("an image that does not come is the waiting reason first", async () => {
    await startWorker({ image_pull_policy: "IfNotPresent", image_limit_s: 4 }, { IMAGE_TAG: "no-such-tag" });
    const job_id = await on.platform.submit([SUCCEED]);
    await on.platform.until(job_id, (job) => job.waiting_reason?.includes("no-such-tag") === true, LIMIT_MS);
    expect(await untilOver(job_id)).toMatchObject({ state: "FAILED", failure: { code: "IMAGE_MISSING" } });
    await untilClean();
  });

  it("a pod that no node takes is the waiting reason, and fails the job when it waited too long", async () => {
    await startWorker({ node_selector: { "no-such": "node" }, unschedulable_limit_s: 4 });
    const job_id = await on.platform.submit([SUCCEED]);
    await on.platform.until(job_id, (job) => job.waiting_reason?.includes("no node takes the pod") === true, LIMIT_MS);
    expect(await untilOver(job_id)).toMatchObject({ state: "FAILED", failure: { code: "NOT_SCHEDULABLE" } });
    await untilClean();
  });
});

describe("a trainer that takes too much memory", () => {
  it("is reported as out of memory, and not tried again", async () => {
    await startWorker();
    const job_id = await on.platform.submit([TRAINING, { do: "allocate", mebibytes: 600 }, SUCCEED]);
    const job = await untilOver(job_id);
    expect(job).toMatchObject({ state: "FAILED", attempt: 1, failure: { code: "OOM_KILLED" } });
    await untilClean();
  });
});

describe("a cancelled job", () => {
  it("that waits for a node is gone at once", async () => {
    await startWorker({ node_selector: { "no-such": "node" } });
    const job_id = await on.platform.submit([SUCCEED]);
    await on.podOf(job_id, 1);
    await on.platform.cancel(job_id);
    expect(await untilOver(job_id)).toMatchObject({ state: "CANCELLED" });
    await untilClean();
  });

  it("that trains saves and ends", async () => {
    await startWorker();
    const job_id = await on.platform.submit([TRAINING, { do: "sleep", ms: 600_000 }]);
    await untilTraining(job_id);
    await on.platform.cancel(job_id);
    expect(await untilOver(job_id)).toMatchObject({ state: "CANCELLED" });
    expect((await on.platform.events(job_id)).filter(({ type }) => type === "stopped")).toHaveLength(1);
    await untilClean();
  });

  it("that uploads and does not listen is killed after its grace", async () => {
    await startWorker();
    const uploading: ScriptStep = { do: "event", type: "phase", data: { name: "uploading" } };
    const job_id = await on.platform.submit([{ do: "ignore_sigterm" }, uploading, { do: "sleep", ms: 600_000 }]);
    await on.platform.until(job_id, ({ phase }) => phase === "uploading", LIMIT_MS);
    await on.platform.cancel(job_id);
    expect(await untilOver(job_id)).toMatchObject({ state: "CANCELLED" });
    await untilClean();
  });
});

describe("the API server away", () => {
  it("stops no training, and what was missed is caught up", async () => {
    await startWorker();
    const script: ScriptStep[] = [
      TRAINING,
      { do: "steps", count: 80, every_ms: 100 },
      { do: "print", text: "the end\n" },
    ];
    const job_id = await on.platform.submit([...script, SUCCEED]);
    await untilTraining(job_id);
    on.api.shut();
    await sleep(12_000);
    expect((await on.platform.job(job_id)).state).toBe("RUNNING");
    on.api.open();
    expect(await untilOver(job_id)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    const log = (await on.platform.events(job_id)).filter(({ data }) => String(data.message).includes("the end"));
    expect(log).toHaveLength(1);
    await untilClean();
  });
});
