import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { contentPath, type StoredObject } from "./backup-folder.ts";
import { listBucket } from "./backup-objects.ts";
import { inParallel } from "./in-parallel.ts";

const AT_ONCE = 8;
/** Larger objects go in parts of this size. */
const PART_BYTES = 64 * 1024 * 1024;

/** Makes the bucket hold exactly the backup's objects; what it holds already is not sent again. */
export async function putObjects(
  s3: S3Client,
  bucket: string,
  folder: string,
  objects: ReadonlyMap<string, StoredObject>,
  detail: (text: string) => void,
): Promise<{ sent: number; deleted: number }> {
  const there = await listBucket(s3, bucket);
  const surplus = [...there.keys()].filter((key) => !objects.has(key));
  await inParallel(surplus, AT_ONCE, async (Key) => {
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
  });
  const missing = [...objects.values()].filter((object) => {
    const found = there.get(object.key);
    return found?.etag !== object.etag || found.bytes !== object.bytes;
  });
  let done = 0;
  await inParallel(missing, AT_ONCE, async (object) => {
    await putObject(s3, bucket, folder, object);
    done += 1;
    detail(`${done} of ${missing.length} objects`);
  });
  return { sent: missing.length, deleted: surplus.length };
}

async function putObject(s3: S3Client, bucket: string, folder: string, object: StoredObject): Promise<void> {
  const path = contentPath(folder, object.sha256);
  const target = {
    Bucket: bucket,
    Key: object.key,
    ContentType: object.content_type,
    ContentEncoding: object.content_encoding,
    ContentDisposition: object.content_disposition,
    Metadata: object.metadata,
  };
  if (object.bytes > PART_BYTES) return await putInParts(s3, target, path, object.bytes);
  await s3.send(new PutObjectCommand({ ...target, Body: createReadStream(path), ContentLength: object.bytes }));
}

async function putInParts(
  s3: S3Client,
  target: { Bucket: string; Key: string },
  path: string,
  bytes: number,
): Promise<void> {
  const place = { Bucket: target.Bucket, Key: target.Key };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target));
  const file = await open(path);
  try {
    const Parts: CompletedPart[] = [];
    for (let start = 0; start < bytes; start += PART_BYTES) {
      const Body = Buffer.alloc(Math.min(PART_BYTES, bytes - start));
      await file.read(Body, 0, Body.length, start);
      const PartNumber: number = Parts.length + 1;
      const { ETag } = await s3.send(new UploadPartCommand({ ...place, UploadId, PartNumber, Body }));
      Parts.push({ ETag, PartNumber });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts } }));
  } catch (error) {
    await s3.send(new AbortMultipartUploadCommand({ ...place, UploadId })).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}
