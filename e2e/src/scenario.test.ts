import { createHash } from "node:crypto";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { AppError } from "@vision-platform/common/app-error";
import {
  createJob,
  getJob,
  listJobArtifacts,
  listJobEvents,
  listJobLogs,
  listJobMetrics,
  startJob,
  streamJobEvents,
} from "@vision-platform/contracts/api/jobs";
import { listModels } from "@vision-platform/contracts/api/models";
import { putMember } from "@vision-platform/contracts/api/projects";
import { JobEvent } from "@vision-platform/contracts/job-events";
import type { TrainingComplete, TrainingProgress } from "@vision-platform/contracts/live";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { digitsZip } from "./digits.ts";
import {
  allEvents,
  newPerson,
  openSocket,
  type Person,
  projectWithDataset,
  subscribe,
  untilOver,
  watch,
} from "./person.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";

let platform: Platform;
let owner: Person;
let viewer: Person;
let stranger: Person;
let place: { project_id: number; dataset_id: number };
/** The job that the first test trains and the others look at. */
let trained: number;

const spec = {
  framework: "timm",
  model_name: "test_resnet",
  task_type: "image_classification" as const,
  epochs: 5,
  batch_size: 64,
  learning_rate: 0.01,
  seed: 7,
};

beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 10 });
  owner = await newPerson(platform.gateway_url, "owner");
  viewer = await newPerson(platform.gateway_url, "viewer");
  stranger = await newPerson(platform.gateway_url, "stranger");
  place = await projectWithDataset(owner, await digitsZip(platform.folder));
  await owner.api.call(putMember, {
    params: { project_id: place.project_id },
    body: { email: viewer.email, role: "viewer" },
  });
});
afterAll(() => platform?.stop());

/** The status and detail that a call is refused with. */
async function refusal(call: Promise<unknown>): Promise<{ status: number; message: string }> {
  try {
    await call;
  } catch (error) {
    if (error instanceof AppError) return { status: error.status, message: error.message };
    throw error;
  }
  throw new Error("it was not refused");
}

describe("a training, from submission to a live screen", () => {
  it("learns the digits while two people watch and a stranger does not", async () => {
    const models = await viewer.api.call(listModels, { query: { framework: "timm", task: "image_classification" } });
    expect(models.items.map((model) => model.name)).toContain("test_resnet");

    const job = await owner.api.call(createJob, { body: { ...place, ...spec, name: "digits" } });
    expect(job).toMatchObject({ state: "PENDING", attempt: 0, dataset_version: 1, name: "digits" });
    const params = { job_id: job.id };
    trained = job.id;

    const ownersSocket = openSocket(platform.notifier_url, owner.token);
    const viewersSocket = openSocket(platform.notifier_url, viewer.token);
    const strangersSocket = openSocket(platform.notifier_url, stranger.token);
    const owners = watch(ownersSocket, job.id);
    const progress: TrainingProgress[] = [];
    const complete: TrainingComplete[] = [];
    const leaked: unknown[] = [];
    strangersSocket.onAny((...event) => leaked.push(event));
    expect(await subscribe(viewersSocket, `job:${job.id}`)).toMatchObject({ ok: true, head: 1 });
    viewersSocket.on("training_progress", (each) => progress.push(each));
    viewersSocket.on("training_complete", (each) => complete.push(each));
    expect(await subscribe(strangersSocket, `job:${job.id}`)).toMatchObject({ ok: false, code: "forbidden" });
    expect(await subscribe(strangersSocket, `project:${place.project_id}`)).toMatchObject({
      ok: false,
      code: "forbidden",
    });
    expect(await subscribe(ownersSocket, "job:999999")).toMatchObject({ ok: false, code: "not_found" });

    expect(await refusal(viewer.api.call(startJob, { params }))).toMatchObject({ status: 403 });
    expect(await refusal(stranger.api.call(startJob, { params }))).toMatchObject({ status: 403 });
    expect(await refusal(owner.api.call(startJob, { params: { job_id: 999_999 } }))).toEqual({
      status: 404,
      message: "Training job not found",
    });
    expect(await owner.api.call(startJob, { params })).toEqual({ message: "Training started", job_id: job.id });
    expect((await refusal(owner.api.call(startJob, { params }))).message).toMatch(
      /^Cannot start job with status '(QUEUED|RUNNING)'$/,
    );

    const done = await untilOver(owner, job.id);
    expect(done.failure).toBeNull();
    expect(done.state).toBe("SUCCEEDED");
    expect(done.metrics["val/top1"]).toBeGreaterThanOrEqual(0.95);
    expect(done.attempts).toMatchObject([{ attempt: 1, outcome: "succeeded", exit_code: 0 }]);

    const events = await allEvents(owner, job.id);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
    expect(events.every((event) => JobEvent.safeParse(event).success)).toBe(true);
    expect(new Set(events.map((event) => event.trace_id))).toEqual(new Set([job.trace_id]));
    const states = events.filter((event) => event.type === "state").map((event) => event.data.state);
    expect(states).toEqual(["PENDING", "QUEUED", "RUNNING", "SUCCEEDED"]);

    // What a socket was sent is exactly that: no gap, repeat or reordering.
    await vi.waitFor(() => expect(owners.raw).toEqual(events), { timeout: 10_000 });
    expect(complete).toMatchObject([{ job_id: job.id, status: "SUCCEEDED" }]);
    expect(progress.at(-1)).toMatchObject({ job_id: job.id, epoch: 5, epochs: 5 });
    expect(leaked).toEqual([]);
    for (const socket of [ownersSocket, viewersSocket, strangersSocket]) socket.close();
  });

  it("keeps everything queryable, to members only", async () => {
    const params = { job_id: trained };
    const reads = [getJob, listJobEvents, listJobMetrics, listJobLogs, listJobArtifacts, streamJobEvents] as const;
    for (const read of reads) {
      expect(await refusal(stranger.api.call(read, { params }))).toMatchObject({ status: 403 });
    }
    const { series } = await viewer.api.call(listJobMetrics, { params, query: { scope: "epoch" } });
    expect(series["val/top1"]?.map((point) => point.epoch)).toEqual([1, 2, 3, 4, 5]);

    const { items: artifacts } = await viewer.api.call(listJobArtifacts, { params });
    expect(artifacts.map((artifact) => artifact.name)).toContain("model.safetensors");
    for (const artifact of artifacts) {
      const bytes = Buffer.from(await (await fetch(artifact.url)).arrayBuffer());
      expect(createHash("sha256").update(bytes).digest("hex"), artifact.name).toBe(artifact.sha256);
      expect(bytes.length).toBe(artifact.bytes);
    }
    const { files } = await viewer.api.call(listJobLogs, { params });
    const job = await viewer.api.call(getJob, { params });
    const log = await (await fetch(files[0]?.url ?? "")).text();
    const lines = log.trim().split("\n");
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.filter((line) => line.startsWith("{")).every((line) => line.includes(job.trace_id))).toBe(true);
  });

  it("says where pretrained weights belong when there are none, and starts from them once they are there", async () => {
    const body = { ...place, ...spec, epochs: 1, learning_rate: 0.001, config: { pretrained: true }, start: true };
    const without = await untilOver(owner, (await owner.api.call(createJob, { body })).id);
    expect(without).toMatchObject({ state: "FAILED", attempt: 1, failure: { code: "MODEL_UNAVAILABLE" } });
    expect(without.failure?.message).toContain(`s3://${platform.bucket}/weights/timm/test_resnet.safetensors`);

    const { items } = await owner.api.call(listJobArtifacts, { params: { job_id: trained } });
    const weights = await fetch(items.find((artifact) => artifact.name === "model.safetensors")?.url ?? "");
    const s3 = platform.s3();
    const Key = "weights/timm/test_resnet.safetensors";
    const Body = new Uint8Array(await weights.arrayBuffer());
    await s3.send(new PutObjectCommand({ Bucket: platform.bucket, Key, Body }));
    s3.destroy();
    const withWeights = await untilOver(owner, (await owner.api.call(createJob, { body })).id);
    expect(withWeights.failure).toBeNull();
    // One epoch from scratch does not get there.
    expect(withWeights.metrics["val/top1"]).toBeGreaterThanOrEqual(0.95);
  });

  it("streams the same by server-sent events, from a cursor on", async () => {
    const params = { job_id: trained };
    const all = await allEvents(viewer, trained);
    const response = await viewer.api.open(streamJobEvents, { params, headers: { "last-event-id": "3" } });
    const text = await response.text();
    const ids = [...text.matchAll(/^id: (\d+)$/gm)].map((match) => Number(match[1]));
    expect(ids).toEqual(all.slice(3).map((event) => event.seq));
    const first = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? "null");
    expect(first).toEqual(all[3]);
  });
});
