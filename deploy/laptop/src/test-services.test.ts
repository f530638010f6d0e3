import { execFileSync } from "node:child_process";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { wholeEnvironment } from "./config.ts";

const env = wholeEnvironment();

test("Redis asks for its password and evicts nothing", async () => {
  const redis = new Redis(env.TEST_REDIS_URL ?? "");
  expect(await redis.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
  expect(await redis.acl("SETUSER", "vp-test", "reset")).toBe("OK");
  await redis.acl("DELUSER", "vp-test");
  redis.disconnect();

  const stranger = new Redis((env.TEST_REDIS_URL ?? "").replace(/:[^:@]+@/, ":wrong@"), {
    lazyConnect: true,
    retryStrategy: () => null,
  });
  stranger.on("error", () => undefined);
  await expect(stranger.connect().then(() => stranger.ping())).rejects.toThrow();
});

test("S3 keeps metadata and refuses the well-known key pair", async () => {
  const client = (id: string, secret: string) =>
    new S3Client({
      endpoint: env.TEST_S3_ENDPOINT ?? "",
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId: id, secretAccessKey: secret },
    });
  const where = { Bucket: env.TEST_S3_BUCKET ?? "", Key: "laptop/one.txt" };
  const ours = client(env.TEST_S3_ACCESS_KEY_ID ?? "", env.TEST_S3_SECRET_ACCESS_KEY ?? "");
  await ours.send(new PutObjectCommand({ ...where, Body: "hello", Metadata: { sha256: "abc" } }));
  const got = await ours.send(new GetObjectCommand(where));
  expect(got.Metadata).toMatchObject({ sha256: "abc" });
  await expect(client("S3RVER", "S3RVER").send(new GetObjectCommand(where))).rejects.toThrow();
});

test("the password of Redis is in no process's arguments", () => {
  const password = new URL(env.TEST_REDIS_URL ?? "").password;
  expect(execFileSync("ps", ["axww", "-o", "args="], { encoding: "utf8" })).not.toContain(password);
});
