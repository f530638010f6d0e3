import { createHash, randomBytes } from "node:crypto";
import { createWriteStream, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  paginateListObjectsV2,
  type S3Client,
} from "@aws-sdk/client-s3";
import { contentPath, type StoredObject } from "./backup-folder.ts";
import { inParallel } from "./in-parallel.ts";

const AT_ONCE = 8;
/** A training that goes on writes checkpoints while we copy: so often we look again for one that is whole. */
const PASSES = 4;

export interface CopiedObjects {
  objects: Map<string, StoredObject>;
  /** What was not there from an earlier backup. */
  copied: number;
  copied_bytes: number;
  warnings: string[];
}

type Listed = { key: string; etag: string; bytes: number };

/** Every object of a bucket by its key. Rejects when the storage does not answer. */
export async function listBucket(s3: S3Client, bucket: string): Promise<Map<string, Listed>> {
  const found = new Map<string, Listed>();
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket: bucket })) {
    for (const { Key = "", ETag = "", Size: bytes = 0 } of Contents) {
      const key = await trueKey(s3, bucket, Key);
      // What ends in a slash is a folder as some servers show it.
      if (!key.endsWith("/")) found.set(key, { key, etag: ETag.replaceAll('"', ""), bytes });
    }
  }
  return found;
}

/** Whether a bucket holds nothing at all. */
export async function isEmpty(s3: S3Client, bucket: string): Promise<boolean> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }));
  return Contents.length === 0;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** s3rver lists "a & b" as "a &amp; b", and then does not find it. */
async function trueKey(s3: S3Client, bucket: string, listed: string): Promise<string> {
  const key = listed.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? "");
  if (key === listed) return key;
  const there = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key })).catch(() => null);
  return there === null ? listed : key;
}

/**
 * Copies a bucket into `folder`, each content once. `known` are the objects of an earlier backup there: what still has
 * the same ETag and size is not fetched again. Objects that vanish meanwhile are left out; the bucket is looked at again
 * until all that it lists was copied and every pointer to a checkpoint leads to a whole one, at most four times.
 */
export async function copyObjects(
  s3: S3Client,
  bucket: string,
  folder: string,
  known: ReadonlyMap<string, StoredObject>,
  detail: (text: string) => void,
): Promise<CopiedObjects> {
  const result: CopiedObjects = { objects: new Map(known), copied: 0, copied_bytes: 0, warnings: [] };
  for (let pass = 1; pass <= PASSES; pass += 1) {
    const listed = await listBucket(s3, bucket);
    for (const key of result.objects.keys()) if (!listed.has(key)) result.objects.delete(key);
    const missing = [...listed.values()].filter((object) => !isCopied(folder, object, result.objects.get(object.key)));
    const vanished: string[] = [];
    let done = 0;
    await inParallel(missing, AT_ONCE, async (object) => {
      const copy = await copyObject(s3, bucket, folder, object.key);
      done += 1;
      detail(`${done} of ${missing.length} objects`);
      if (copy === null) {
        vanished.push(object.key);
        return void result.objects.delete(object.key);
      }
      result.objects.set(object.key, copy);
      result.copied += 1;
      result.copied_bytes += copy.bytes;
    });
    result.warnings = [
      // Gone by now: then the next look does not list it any more.
      ...vanished.map((key) => `${key} is listed, but cannot be read`),
      ...brokenPointers(folder, bucket, result.objects),
    ];
    if (result.warnings.length === 0) break;
  }
  return result;
}

function isCopied(folder: string, listed: Listed, copy: StoredObject | undefined): boolean {
  if (copy === undefined || copy.etag !== listed.etag || copy.bytes !== listed.bytes) return false;
  return statSync(contentPath(folder, copy.sha256), { throwIfNoEntry: false })?.size === listed.bytes;
}

/** Null when the object is gone by now. */
async function copyObject(s3: S3Client, bucket: string, folder: string, key: string): Promise<StoredObject | null> {
  const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key })).catch((error: Error) => {
    if (error.name === "NoSuchKey" || error.name === "NotFound") return null;
    throw new Error(`${key} cannot be read: ${error.message}`);
  });
  if (answer === null) return null;
  const { sha256, bytes } = await keep(folder, answer.Body as NodeJS.ReadableStream);
  const optional = {
    content_type: answer.ContentType,
    content_encoding: answer.ContentEncoding,
    content_disposition: answer.ContentDisposition,
    metadata: Object.keys(answer.Metadata ?? {}).length > 0 ? answer.Metadata : undefined,
  };
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return { key, bytes, sha256, etag: (answer.ETag ?? "").replaceAll('"', ""), ...given };
}

/** Writes under a name of its own first: what has a hash as its name is complete. */
async function keep(folder: string, body: NodeJS.ReadableStream): Promise<{ sha256: string; bytes: number }> {
  const fresh = contentPath(folder, `new-${randomBytes(8).toString("hex")}`);
  mkdirSync(dirname(fresh), { recursive: true, mode: 0o700 });
  const hash = createHash("sha256");
  let bytes = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  try {
    await pipeline(body, count, createWriteStream(fresh, { mode: 0o600, flush: true }));
    const sha256 = hash.digest("hex");
    const path = contentPath(folder, sha256);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    renameSync(fresh, path);
    return { sha256, bytes };
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** Pointers whose checkpoint is not complete in the copy, in words. */
function brokenPointers(folder: string, bucket: string, objects: ReadonlyMap<string, StoredObject>): string[] {
  return [...objects.values()].flatMap((object) => {
    if (!/^jobs\/\d+\/checkpoints\/(last|best)\.json$/.test(object.key)) return [];
    try {
      const { uri } = JSON.parse(readFileSync(contentPath(folder, object.sha256), "utf8")) as { uri: string };
      const prefix = uri.replace(`s3://${bucket}/`, "").replace(/\/?$/, "/");
      const manifest = objects.get(`${prefix}MANIFEST.json`);
      if (!manifest) return [`${object.key} points to ${prefix}, which is not there`];
      const { files } = JSON.parse(readFileSync(contentPath(folder, manifest.sha256), "utf8")) as {
        files: { name: string; sha256: string }[];
      };
      const torn = files.filter((file) => objects.get(prefix + file.name)?.sha256 !== file.sha256);
      return torn.map((file) => `${prefix}${file.name} is not what its manifest says`);
    } catch (error) {
      return [`${object.key} cannot be understood: ${error instanceof Error ? error.message : error}`];
    }
  });
}
