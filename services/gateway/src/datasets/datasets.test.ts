import { createHash, randomBytes } from "node:crypto";
import { ListMultipartUploadsCommand } from "@aws-sdk/client-s3";
import {
  completeUpload,
  createDataset,
  createUpload,
  getDataset,
  listDatasets,
  type Upload,
} from "@vision-platform/contracts/api/datasets";
import { getJob } from "@vision-platform/contracts/api/jobs";
import { putMember } from "@vision-platform/contracts/api/projects";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cleanUp } from "../housekeeping.ts";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";
import { storedSize } from "./upload-storage.ts";

let test: TestGateway;
let owner: TestUser;
let viewer: TestUser;
let project_id: number;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
  await test.user("administrator");
  [owner, viewer] = [await test.user("owner"), await test.user("viewer")];
  project_id = await test.project(owner);
  await owner.call(putMember, { params: { project_id }, body: { email: "viewer@example.org", role: "viewer" } });
});
afterAll(() => test.stop());

let count = 0;
const newDataset = async (by = owner) =>
  (await by.call(createDataset, { body: { project_id, name: `set ${++count}`, task_type: "image_classification" } }))
    .id;
const newUpload = (dataset_id: number, bytes: number, filename = "my photos ü.zip") =>
  owner.call(createUpload, { params: { dataset_id }, body: { filename, bytes } });
const complete = (dataset_id: number, upload_id: string, body: object = {}, by = owner) =>
  by.call(completeUpload, { params: { dataset_id, upload_id }, body });

async function put(upload: Upload, content: Buffer): Promise<{ part_number: number; etag: string }[]> {
  return await Promise.all(
    upload.urls.map(async ({ part_number, url }) => {
      const start = (part_number - 1) * upload.part_size;
      const response = await fetch(url, { method: "PUT", body: content.subarray(start, start + upload.part_size) });
      expect(response.status).toBe(200);
      return { part_number, etag: response.headers.get("etag") ?? "" };
    }),
  );
}

describe("datasets", () => {
  it("have a name once in a project", async () => {
    const body = { project_id, name: "twice", task_type: "image_classification" } as const;
    const dataset = await owner.call(createDataset, { body });
    expect(dataset).toMatchObject({ ...body, latest_version: null });
    await expect(owner.call(createDataset, { body })).rejects.toMatchObject({
      status: 409,
      code: "dataset_name_taken",
    });
    expect(await viewer.call(getDataset, { params: { dataset_id: dataset.id } })).toEqual({ ...dataset, versions: [] });
  });

  it("are made by editors", async () => {
    await expect(newDataset(viewer)).rejects.toMatchObject({ status: 403 });
    const dataset_id = await newDataset();
    const body = { filename: "a.zip", bytes: 100 };
    await expect(viewer.call(createUpload, { params: { dataset_id }, body })).rejects.toMatchObject({ status: 403 });
  });

  it("are listed to members only", async () => {
    await newDataset();
    const stranger = await test.user();
    expect((await stranger.call(listDatasets, {})).items).toEqual([]);
    const all = await viewer.call(listDatasets, { query: { limit: 1 } });
    expect([all.items.length, all.next_cursor === null]).toEqual([1, false]);
    expect((await viewer.call(listDatasets, { query: { project_id } })).items[0]).toEqual(all.items[0]);
  });

  it.each([
    [{ name: "x", task_type: "image_classification" }, "/project_id"],
    [{ project_id: "1", name: "x", task_type: "image_classification" }, "/project_id"],
    [{ project_id: 1, name: "", task_type: "image_classification" }, "/name"],
    [{ project_id: 1, name: "x", task_type: "magic" }, "/task_type"],
  ])("refuse %j", async (body, pointer) => {
    await expect(owner.call(createDataset, { body: body as never })).rejects.toMatchObject({
      status: 422,
      errors: [{ pointer }],
    });
  });
});

describe("uploads", () => {
  it("of a small file are one PUT, and become a version with its ingest job", async () => {
    const dataset_id = await newDataset();
    const content = randomBytes(1000);
    const upload = await newUpload(dataset_id, content.length);
    expect(upload).toMatchObject({ method: "single", urls: [{ part_number: 1 }] });
    await put(upload, content);
    const settings = { skip_bad_files: true, val_fraction: 0.3, seed: 4, format: "yolo" } as const;
    const answer = await complete(dataset_id, upload.upload_id, settings);
    expect(answer).toEqual({ dataset_id, version: 1, job_id: expect.any(Number) });
    const { versions } = await owner.call(getDataset, { params: { dataset_id } });
    expect(versions).toMatchObject([
      { version: 1, state: "INGESTING", job_id: answer.job_id, filename: "my photos ü.zip", findings: [] },
    ]);
    const job = await owner.call(getJob, { params: { job_id: answer.job_id } });
    expect(job).toMatchObject({
      kind: "ingest",
      state: "QUEUED",
      attempt: 1,
      framework: "dataset",
      dataset_id,
      dataset_version: 1,
      seed: 4,
    });
    expect(job.config).toMatchObject({
      skip_bad_files: true,
      val_fraction: 0.3,
      format: "yolo",
      source_uri: expect.stringMatching(/^s3:\/\/.+\.zip$/),
    });
    await expect(complete(dataset_id, upload.upload_id, { ...settings, format: "coco" })).rejects.toMatchObject({
      ...{ status: 409, code: "upload_completed" },
    });
    const wrong = complete(dataset_id, upload.upload_id, { ...settings, format: "rar" as never });
    await expect(wrong).rejects.toMatchObject({ status: 422, errors: [{ pointer: "/format" }] });
  });

  it("above 64 MiB come in parts and arrive as they were", async () => {
    const dataset_id = await newDataset();
    const content = Buffer.concat([Buffer.alloc(64 * 1024 ** 2, 7), randomBytes(1000)]);
    const upload = await newUpload(dataset_id, content.length);
    expect([upload.method, upload.urls.length]).toEqual(["multipart", 2]);
    const parts = await put(upload, content);
    await expect(complete(dataset_id, upload.upload_id)).rejects.toMatchObject({
      status: 422,
      errors: [{ pointer: "/parts" }],
    });
    const answer = await complete(dataset_id, upload.upload_id, { parts: parts.toReversed() });
    expect(await complete(dataset_id, upload.upload_id, { parts })).toEqual(answer);
    const job = await owner.call(getJob, { params: { job_id: answer.job_id } });
    const [, Bucket = "", Key = ""] = /^s3:\/\/([^/]+)\/(.+)$/.exec(String(job.config.source_uri)) ?? [];
    const stored = await test.gateway.s3.send(
      new (await import("@aws-sdk/client-s3")).GetObjectCommand({ Bucket, Key }),
    );
    const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    expect(hash((await stored.Body?.transformToByteArray()) ?? new Uint8Array())).toBe(hash(content));
  });

  it("are completed once, however often and at once it is asked", async () => {
    const dataset_id = await newDataset();
    const upload = await newUpload(dataset_id, 500);
    await put(upload, randomBytes(500));
    const answers = await Promise.all(Array.from({ length: 10 }, () => complete(dataset_id, upload.upload_id)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect((await owner.call(getDataset, { params: { dataset_id } })).versions).toHaveLength(1);
    await expect(complete(dataset_id, upload.upload_id, { seed: 5 })).rejects.toMatchObject({
      status: 409,
      code: "upload_completed",
    });
  });

  it("give every version its own number when several end at once", async () => {
    const dataset_id = await newDataset();
    const uploads = await Promise.all([1, 2, 3, 4].map(() => newUpload(dataset_id, 100)));
    await Promise.all(uploads.map((upload) => put(upload, randomBytes(100))));
    const answers = await Promise.all(uploads.map((upload) => complete(dataset_id, upload.upload_id)));
    expect(answers.map((answer) => answer.version).toSorted()).toEqual([1, 2, 3, 4]);
  });

  it("are refused while the file is missing or of another size", async () => {
    const dataset_id = await newDataset();
    const upload = await newUpload(dataset_id, 500);
    await expect(complete(dataset_id, upload.upload_id)).rejects.toMatchObject({ status: 409, code: "upload_missing" });
    await put(upload, randomBytes(499));
    await expect(complete(dataset_id, upload.upload_id)).rejects.toMatchObject({
      status: 409,
      code: "upload_size_differs",
    });
    await put(upload, randomBytes(500));
    expect((await complete(dataset_id, upload.upload_id)).version).toBe(1);
  });

  it("belong to their dataset", async () => {
    const upload = await newUpload(await newDataset(), 100);
    const other = await newDataset();
    await expect(complete(other, upload.upload_id)).rejects.toMatchObject({ status: 404 });
    await expect(complete(other, "nothing")).rejects.toMatchObject({ status: 404 });
    await expect(complete(other, upload.upload_id, {}, viewer)).rejects.toMatchObject({ status: 403 });
  });

  it("that nobody completes are removed with their files", async () => {
    const { gateway } = test;
    const dataset_id = await newDataset();
    const small = await newUpload(dataset_id, 100, "small.zip");
    await put(small, randomBytes(100));
    const large = await newUpload(dataset_id, 65 * 1024 ** 2, "large.zip");
    await sql`update uploads set expires_at = now() - interval '1 second' where id in (${small.upload_id}, ${large.upload_id})`.execute(
      gateway.db,
    );
    await expect(complete(dataset_id, small.upload_id)).rejects.toMatchObject({ status: 409, code: "upload_expired" });
    await cleanUp(gateway);
    await expect(complete(dataset_id, small.upload_id)).rejects.toMatchObject({ status: 404 });
    const Bucket = gateway.config.STORAGE_BUCKET;
    expect(await storedSize(gateway.s3, { Bucket, Key: `uploads/${small.upload_id}/small.zip` })).toBeUndefined();
    const open = await gateway.s3.send(new ListMultipartUploadsCommand({ Bucket })).catch(() => ({ Uploads: [] }));
    expect((open.Uploads ?? []).filter((upload) => upload.Key?.includes(large.upload_id))).toEqual([]);
  });

  it.each([
    [{ filename: "../a.zip", bytes: 100 }, "/filename"],
    [{ filename: "a\\b.zip", bytes: 100 }, "/filename"],
    [{ filename: "a\n.zip", bytes: 100 }, "/filename"],
    [{ filename: "a.tar", bytes: 100 }, "/filename"],
    [{ filename: "a.zip", bytes: 0 }, "/bytes"],
    [{ filename: "a.zip", bytes: 1e12 }, "/bytes"],
    [{ filename: "a.zip", bytes: "100" }, "/bytes"],
    [{ filename: "a.zip" }, "/bytes"],
  ])("refuse %j", async (body, pointer) => {
    const params = { dataset_id: await newDataset() };
    await expect(owner.call(createUpload, { params, body: body as never })).rejects.toMatchObject({
      status: 422,
      errors: [{ pointer }],
    });
  });

  it.each([
    [{ val_fraction: 0 }, "/val_fraction"],
    [{ seed: -1 }, "/seed"],
    [{ skip_bad_files: "yes" }, "/skip_bad_files"],
    [{ parts: [{ part_number: 0, etag: "x" }] }, "/parts/0/part_number"],
    [{ parts: [{ part_number: 1, etag: "x", size: 5 }] }, "/parts/0/size"],
    [{ skip_badfiles: true }, "/skip_badfiles"],
  ])("are not completed with %j", async (body, pointer) => {
    await expect(complete(1, "x", body)).rejects.toMatchObject({ status: 422, errors: [{ pointer }] });
  });
});
