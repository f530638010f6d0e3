/** The storage that ./vp starts pages its listings as S3 does, whichever server that is. */
import { CreateBucketCommand, PutObjectCommand, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import { createS3Client } from "@vision-platform/common/s3";
import { expect, it } from "vitest";
import { listBucket } from "./backup-objects.ts";
import { inParallel } from "./in-parallel.ts";

const client = createS3Client({
  STORAGE_TYPE: "s3",
  STORAGE_BUCKET: "unused",
  S3_ENDPOINT: process.env.TEST_S3_ENDPOINT ?? "http://127.0.0.1:9000",
  S3_REGION: "us-east-1",
  S3_FORCE_PATH_STYLE: true,
  S3_ACCESS_KEY_ID: process.env.TEST_S3_ACCESS_KEY_ID ?? "",
  S3_SECRET_ACCESS_KEY: process.env.TEST_S3_SECRET_ACCESS_KEY ?? "",
});
const Bucket = `vp-listing-${process.pid}-${Date.now()}`;

it("lists more objects than a page holds, each once and in the order of their keys", { timeout: 60_000 }, async () => {
  // A folder and a file of the same beginning stand in another order on a disk than as keys.
  const neighbours = Array.from({ length: 350 }, (_, n) => [`run-${n}`, `run-${n}/a`, `run-${n}-b`]);
  const keys = neighbours.flat().sort();
  await client.send(new CreateBucketCommand({ Bucket }));
  await inParallel(keys, 16, async (Key) => {
    await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
  });
  const pages: string[][] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: "run-" })) {
    pages.push(Contents.map(({ Key = "" }) => Key));
  }
  expect(pages.map((page) => page.length)).toEqual([1000, 50]);
  expect(pages.flat()).toEqual(keys);
  expect([...(await listBucket(client, Bucket)).keys()]).toEqual(keys);
});
