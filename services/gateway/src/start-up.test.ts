import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { checkBucket } from "@vision-platform/common/s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectDatabase } from "./db/db.ts";
import { makeBucketWhenUp, migrateWhenUp } from "./start-up.ts";
import { startTestGateway, type TestGateway } from "./testing.ts";

let test: TestGateway;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
});
afterAll(() => test.stop());

describe("at the start", () => {
  it("several gateways may migrate at once, and again", async () => {
    const { db, logger } = test.gateway;
    await Promise.all([migrateWhenUp(db, logger), migrateWhenUp(db, logger), migrateWhenUp(db, logger)]);
  });

  it("a Postgres that is down is waited for, up to a limit", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const nowhere = connectDatabase(`postgres://u:p@127.0.0.1:${port}/x`, 1);
    await expect(migrateWhenUp(nowhere, test.gateway.logger, 700)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await nowhere.destroy();
  });

  it("the bucket is made, and found by the next", async () => {
    const { s3, logger, draining } = test.gateway;
    const bucket = `made-${randomBytes(4).toString("hex")}`;
    await makeBucketWhenUp(s3, bucket, logger, draining);
    await makeBucketWhenUp(s3, bucket, logger, draining);
    await checkBucket(s3, bucket);
  });
});
