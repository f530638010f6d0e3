import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { expect, it } from "vitest";
import { checkBucket, createS3Client, ensureBucket } from "./s3.ts";

const client = createS3Client({
  STORAGE_TYPE: "s3",
  STORAGE_BUCKET: "unused",
  S3_ENDPOINT: process.env.TEST_S3_ENDPOINT ?? "http://127.0.0.1:9000",
  S3_REGION: "us-east-1",
  S3_FORCE_PATH_STYLE: true,
  S3_ACCESS_KEY_ID: process.env.TEST_S3_ACCESS_KEY_ID ?? "",
  S3_SECRET_ACCESS_KEY: process.env.TEST_S3_SECRET_ACCESS_KEY ?? "",
});
const Bucket = `vp-common-${process.pid}-${Date.now()}`;

it("makes a bucket once, and finds what lies in it", async () => {
  await expect(checkBucket(client, Bucket)).rejects.toThrow();
  await ensureBucket(client, Bucket);
  await ensureBucket(client, Bucket);
  await checkBucket(client, Bucket);
  const sha256 = "a".repeat(64);
  await client.send(new PutObjectCommand({ Bucket, Key: "jobs/6/x.txt", Body: "hello", Metadata: { sha256 } }));
  const listed = await client.send(new ListObjectsV2Command({ Bucket, Prefix: "jobs/" }));
  expect(listed.Contents?.map((each) => each.Key)).toEqual(["jobs/6/x.txt"]);
  const got = await client.send(new GetObjectCommand({ Bucket, Key: "jobs/6/x.txt" }));
  expect(got.Metadata).toEqual({ sha256 });
  expect(await got.Body?.transformToString()).toBe("hello");
});
