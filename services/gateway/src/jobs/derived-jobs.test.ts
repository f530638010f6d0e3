import {
  cancelJob,
  createDerivedJob,
  createImageUploads,
  createJob,
  listJobs,
} from "@vision-platform/contracts/api/jobs";
import type { BodyInput } from "@vision-platform/contracts/api/operation";
import { checkpointPointerKey } from "@vision-platform/contracts/names";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type JobWorld, putObject, readyDataset, startJobWorld } from "./job-testing.ts";

let world: JobWorld;
let source: number;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
  source = (await world.running({ name: "the training", seed: 7 })).job_id;
  await putObject(world, checkpointPointerKey(source, "best"), "{}");
});
afterAll(() => world?.stop());

const derive = (body: object, user = world.owner, job_id = source) =>
  user.call(createDerivedJob, { params: { job_id }, body: body as BodyInput<typeof createDerivedJob> });
const uploads = (files: { filename: string; bytes: number }[], user = world.owner, job_id = source) =>
  user.call(createImageUploads, { params: { job_id }, body: { files } });
const uriOf = (key: string) => `s3://${world.gateway.config.STORAGE_BUCKET}/${key}`;

async function arrived(...names: string[]): Promise<string[]> {
  const { items } = await uploads(names.map((filename) => ({ filename, bytes: 5 })));
  for (const { url } of items) expect((await fetch(url, { method: "PUT", body: "bytes" })).status).toBe(200);
  return items.map(({ image_id }) => image_id);
}

describe("a derived job", () => {
  it("takes over what the training is, with the defaults of its kind", async () => {
    const job = await derive({ kind: "evaluate" });
    expect(job).toMatchObject({
      ...{
        kind: "evaluate",
        state: "QUEUED",
        name: "Evaluation of the training",
        source_job_id: source,
        checkpoint: "best",
      },
      ...{ framework: "timm", model_name: "test_resnet", task_type: "image_classification", seed: 7 },
      ...{ dataset_id: world.dataset_id, dataset_version: 1, epochs: 0, learning_rate: 0, batch_size: 16, gpus: 1 },
      ...{ config: { split: "val" }, primary_metric: { name: "val/top1", direction: "max" } },
    });
    const { items } = await world.owner.call(listJobs, { query: { source_job_id: source, kind: "evaluate" } });
    expect(items.map(({ id }) => id)).toEqual([job.id]);
  });

  it("gives its worker the pointer to the checkpoint, also on the next attempt", async () => {
    const { id } = await derive({ kind: "evaluate", config: { split: "test" }, name: "mine" });
    const attempt = await world.claim(id);
    const model_uri = uriOf(`jobs/${source}/checkpoints/best.json`);
    expect(attempt).toMatchObject({ model_uri, gpus: 1, epochs: 0, config: { split: "test" }, resume_uri: null });
    expect(await attempt.finish("interrupted")).toEqual({ state: "QUEUED", attempt: 2 });
    expect(await world.claim(id, 2)).toMatchObject({ model_uri });
    expect(await world.owner.call(cancelJob, { params: { job_id: id } })).toMatchObject({ cancel_requested: true });
  });

  it("waits with start: false, and is one job when submitted twice with the same key", async () => {
    const call = () =>
      world.owner.call(createDerivedJob, {
        params: { job_id: source },
        body: { kind: "evaluate", start: false, tags: ["t"], notes: "n", batch_size: 3 },
        headers: { "Idempotency-Key": "derive-1" },
      });
    const [first, second] = await Promise.all([call(), call()]);
    expect(first).toMatchObject({ state: "PENDING", tags: ["t"], notes: "n", batch_size: 3 });
    expect(second).toEqual(first);
  });

  it("may use another dataset of the task, by default its newest version", async () => {
    const other = await readyDataset(world, world.project_id, world.owner.session.user.id);
    expect(await derive({ kind: "predict", dataset_id: other })).toMatchObject({
      ...{ dataset_id: other, dataset_version: 1, config: {} },
    });
  });
});

describe("is refused", () => {
  it.each([
    ["a kind that the framework does not have", { kind: "export" }, "/kind", /timm has no jobs of kind export/],
    ["a kind that is none", { kind: "train" }, "/kind", /evaluate/],
    ["a wrong setting", { kind: "evaluate", config: { split: "all" } }, "/config/split", /must be one of/],
    ["an unknown setting", { kind: "evaluate", config: { spilt: "val" } }, "/config/spilt", /unknown setting/],
    ["a setting where there are none", { kind: "predict", config: { a: 1 } }, "/config/a", /unknown setting/],
    ["a large config", { kind: "evaluate", config: { a: "x".repeat(33_000) } }, "/config", /32768 bytes/],
    ["an unknown dataset", { kind: "evaluate", dataset_id: 999_999 }, "/dataset_id", /no dataset 999999/],
    ["an unknown version", { kind: "evaluate", dataset_version: 9 }, "/dataset_version", /no version 9/],
    ["images for another kind", { kind: "evaluate", images: ["x"] }, "/images", /only a predict job/],
    ["images that never came", { kind: "predict", images: [`${"0".repeat(16)}-a.jpg`] }, "/images/0", /arrived/],
    ["an image_id that is none", { kind: "predict", images: ["../../secret"] }, "/images/0", /not an image_id/],
  ])("with %s", async (_, body, pointer, detail) => {
    const refused = await derive(body).catch((error: unknown) => error);
    expect(refused).toMatchObject({ status: 422 });
    const { errors } = refused as { errors: { pointer: string; detail: string }[] };
    expect(errors.find((error) => error.pointer === pointer)?.detail).toMatch(detail);
  });

  it("with a dataset of another project, of another task, or that is not READY", async () => {
    const { owner } = world;
    const user_id = owner.session.user.id;
    const foreign = await readyDataset(world, await world.project(owner), user_id);
    const ingesting = await readyDataset(world, world.project_id, user_id, "INGESTING");
    const boxes = await readyDataset(world, world.project_id, user_id);
    await world.gateway.db
      .updateTable("datasets")
      .set({ task_type: "object_detection" })
      .where("id", "=", boxes)
      .execute();
    for (const [dataset_id, detail] of [
      [foreign, "in this project"],
      [ingesting, "no version that is READY"],
      [boxes, "the dataset is for object_detection, not image_classification"],
    ] as const) {
      await expect(derive({ kind: "evaluate", dataset_id })).rejects.toMatchObject({
        status: 422,
        errors: [{ pointer: "/dataset_id", detail: expect.stringContaining(detail) }],
      });
    }
  });

  it("with 409 when there is no such checkpoint, or the job is no training", async () => {
    await expect(derive({ kind: "evaluate", checkpoint: "last" })).rejects.toMatchObject({
      status: 409,
      code: "no_checkpoint",
      message: expect.stringContaining(`Training job ${source} has no 'last' checkpoint`),
    });
    const { id } = await derive({ kind: "evaluate" });
    await expect(derive({ kind: "evaluate" }, world.owner, id)).rejects.toMatchObject({
      status: 409,
      code: "not_a_training",
    });
    await expect(uploads([{ filename: "a.jpg", bytes: 1 }], world.owner, id)).rejects.toMatchObject({ status: 409 });
  });

  it("to viewers, strangers, and for jobs that do not exist", async () => {
    const viewer = await world.user("viewer");
    const member = { project_id: world.project_id, user_id: viewer.session.user.id, role: "viewer" as const };
    await world.gateway.db.insertInto("project_members").values(member).execute();
    const file = [{ filename: "a.jpg", bytes: 1 }];
    for (const [user, job_id, status, code] of [
      [viewer, source, 403, "role_too_low"],
      [await world.user("stranger"), source, 403, "not_a_member"],
      [world.owner, 999_999, 404, "not_found"],
    ] as const) {
      await expect(derive({ kind: "evaluate" }, user, job_id)).rejects.toMatchObject({ status, code });
      await expect(uploads(file, user, job_id)).rejects.toMatchObject({ status, code });
    }
  });
});

describe("single images", () => {
  it("are brought by presigned URLs and reach the trainer as addresses", async () => {
    const images = await arrived("cat 1.JPG", `${"long".repeat(45)}.png`);
    expect(images[0]).toMatch(/^[0-9a-f]{16}-cat_1\.JPG$/);
    const { id } = await derive({ kind: "predict", images });
    const { config } = await world.claim(id);
    expect(config).toEqual({ images: images.map((image) => uriOf(`jobs/${source}/images/${image}`)) });
  });

  it("belong to one training, and exclude a dataset", async () => {
    const images = await arrived("a.jpg");
    const other = (await world.running()).job_id;
    await putObject(world, checkpointPointerKey(other, "best"), "{}");
    await expect(derive({ kind: "predict", images }, world.owner, other)).rejects.toMatchObject({
      errors: [{ pointer: "/images/0", detail: expect.stringContaining(`no such image of job ${other}`) }],
    });
    await expect(derive({ kind: "predict", images, dataset_id: world.dataset_id })).rejects.toMatchObject({
      errors: [{ pointer: "/images", detail: "give images or a dataset, not both" }],
    });
  });

  it.each(["../a.jpg", "a.exe", ".jpg", "a/b.png", ""])("may not be called %j", async (filename) => {
    await expect(uploads([{ filename, bytes: 1 }])).rejects.toMatchObject({
      status: 422,
      errors: [{ pointer: "/files/0/filename" }],
    });
  });

  it.each([0, 51 * 1024 ** 2])("may not have %d bytes", async (bytes) => {
    await expect(uploads([{ filename: "a.jpg", bytes }])).rejects.toMatchObject({ status: 422 });
  });
});

it("a job on several GPUs needs a framework that can", async () => {
  await expect(world.owner.call(createJob, { body: world.spec({ gpus: 2 }) })).rejects.toMatchObject({
    errors: [{ pointer: "/gpus", detail: "timm trains on one GPU only" }],
  });
});
