/** Single images for a predict job: presigned URLs to bring them, and the check that they have arrived. */
import { randomBytes } from "node:crypto";
import { HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { conflict } from "@vision-platform/common/app-error";
import type { createImageUploads as operation } from "@vision-platform/contracts/api/jobs";
import type { BodyOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import { imageKey, s3Uri } from "@vision-platform/contracts/names";
import type { JobRow } from "../db/schema.ts";
import type { JobsGateway } from "./job-parts.ts";
import type { FieldError } from "./job-spec.ts";
import { type Caller, requireJob } from "./jobs.service.ts";
import { findObject } from "./stored-objects.ts";

const VALID_S = 3600;
const MAX_IMAGE_BYTES = 50 * 1024 ** 2;
const PARALLEL_HEADS = 16;
/** 64 random bits, so that nobody meets another's image, and the end of the file's name for people. */
const IMAGE_ID = /^[0-9a-f]{16}-[\w][\w.-]{0,79}$/;

/** A presigned PUT for each file. Rejects: 404, 403 as for jobs, 409 when the job is no training. */
export async function createImageUploads(
  gateway: JobsGateway,
  caller: Pick<Caller, "db" | "user">,
  job_id: number,
  files: BodyOf<typeof operation>["files"],
): Promise<ResponseOf<typeof operation>> {
  requireTraining(await requireJob(caller, job_id, "editor"));
  const items = await Promise.all(
    files.map(async ({ filename }) => {
      const image_id = `${randomBytes(8).toString("hex")}-${filename.replaceAll(" ", "_").slice(-80).replace(/^\W+/, "")}`;
      const command = new PutObjectCommand({ Bucket: gateway.config.STORAGE_BUCKET, Key: imageKey(job_id, image_id) });
      return { image_id, url: await getSignedUrl(gateway.publicS3, command, { expiresIn: VALID_S }) };
    }),
  );
  return { items, expires_at: new Date(Date.now() + VALID_S * 1000).toISOString() };
}

/** Throws 409: only a training leaves a model that can be worked with. */
export function requireTraining(job: JobRow): void {
  if (job.kind !== "train") throw conflict(`Job ${job.id} is no training but of kind ${job.kind}`, "not_a_training");
}

/** The images' addresses, and an error for each that did not arrive or is too large. Rejects with 503. */
export async function checkImages(
  gateway: JobsGateway,
  job_id: number,
  images: readonly string[],
): Promise<{ uris: string[]; errors: FieldError[] }> {
  const errors: FieldError[] = [];
  for (let start = 0; start < images.length; start += PARALLEL_HEADS) {
    const some = images.slice(start, start + PARALLEL_HEADS);
    const flaws = await Promise.all(some.map((image_id) => flawOf(gateway, job_id, image_id)));
    flaws.forEach((detail, place) => {
      if (detail !== undefined) errors.push({ pointer: `/images/${start + place}`, detail });
    });
  }
  const uris = images.map((image_id) => s3Uri(gateway.config.STORAGE_BUCKET, imageKey(job_id, image_id)));
  return { uris, errors };
}

async function flawOf({ s3, config }: JobsGateway, job_id: number, image_id: string): Promise<string | undefined> {
  if (!IMAGE_ID.test(image_id)) return `not an image_id of job ${job_id}`;
  const command = new HeadObjectCommand({ Bucket: config.STORAGE_BUCKET, Key: imageKey(job_id, image_id) });
  const head = await findObject(() => s3.send(command));
  if (head === undefined) return `no such image of job ${job_id} has arrived in the storage`;
  const bytes = head.ContentLength ?? 0;
  return bytes > 0 && bytes <= MAX_IMAGE_BYTES
    ? undefined
    : `the image has ${bytes} bytes; between 1 and ${MAX_IMAGE_BYTES} are allowed`;
}
