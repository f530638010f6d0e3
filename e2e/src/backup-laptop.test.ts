import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { createS3Client, ensureBucket } from "@vision-platform/common/s3";
import { connectDatabase } from "@vision-platform/gateway/src/db/db.ts";
import { migrate } from "@vision-platform/gateway/src/db/migrate.ts";
import { backup } from "@vision-platform/laptop/backup";
import { contentPath, readObjects } from "@vision-platform/laptop/backup-folder";
import { type Servers, withServers } from "@vision-platform/laptop/backup-servers";
import { livingProcesses } from "@vision-platform/laptop/end-platform";
import { vpPaths } from "@vision-platform/laptop/paths";
import { createProgress } from "@vision-platform/laptop/progress";
import { restore } from "@vision-platform/laptop/restore";
import { ensureSecrets } from "@vision-platform/laptop/secrets";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const silent = createProgress("silent", 0);
const folder = mkdtempSync(join(tmpdir(), "vp-backup-"));
const laptop = { composeEnv: null, paths: vpPaths(join(folder, ".vp")) };
const name = `backup_${randomBytes(5).toString("hex")}`;
const admin = process.env.TEST_DATABASE_URL ?? "";
/** Several parts of an upload, and one that no storage keeps twice. */
const LARGE = randomBytes(70 * 1024 * 1024);
let source: Servers;

async function query(url: string, statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return await client.query(statement).finally(() => client.end());
}

beforeAll(async () => {
  await query(admin, `create database ${name}`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  const db = connectDatabase(url.href, 1);
  await migrate(db);
  await db.destroy();
  const users = "insert into users (email, name, password_hash) values ('admin@localhost.localdomain', 'A', 'another')";
  await query(url.href, users);
  source = {
    shape: "compose",
    database_url: url.href,
    redis_url: process.env.TEST_REDIS_URL ?? "",
    storage: {
      ...{ STORAGE_TYPE: "s3", STORAGE_BUCKET: "vision-platform", S3_REGION: "us-east-1", S3_FORCE_PATH_STYLE: true },
      S3_ENDPOINT: process.env.TEST_S3_ENDPOINT ?? "",
      S3_ACCESS_KEY_ID: process.env.TEST_S3_ACCESS_KEY_ID ?? "",
      S3_SECRET_ACCESS_KEY: process.env.TEST_S3_SECRET_ACCESS_KEY ?? "",
    },
    settings: {},
  };
  const s3 = createS3Client(source.storage);
  await ensureBucket(s3, "vision-platform");
  const put = (Key: string, Body: Buffer | string) =>
    s3.send(new PutObjectCommand({ Bucket: "vision-platform", Key, Body, ContentType: "text/plain" }));
  await put("jobs/1/a name, with (signs) & umläuts+.txt", "hello");
  await put("jobs/2/copy.txt", "hello");
  await put("weights/large.bin", LARGE);
  await put("jobs/3/checkpoints/last.json", JSON.stringify({ uri: "s3://vision-platform/jobs/3/checkpoints/9/" }));
  s3.destroy();
});
afterAll(async () => {
  await query(admin, `drop database ${name} with (force)`);
  rmSync(folder, { recursive: true });
});

describe("a backup", () => {
  it("moves from servers elsewhere to the laptop, whose own servers run only meanwhile", async () => {
    const kept = join(folder, "kept");
    const made = await backup(source, kept, undefined, silent);
    expect(made.manifest.warnings).toEqual([expect.stringMatching(/jobs\/3.*points to jobs\/3\/checkpoints\/9\//)]);
    const objects = await Array.fromAsync(readObjects(kept, made.name));
    expect(objects.map(({ key }) => key)).toContain("jobs/1/a name, with (signs) & umläuts+.txt");
    expect(new Set(objects.map(({ sha256 }) => sha256)).size).toBe(3);

    const options = { at: undefined, replace: false };
    const report = await withServers(laptop, true, (servers) => restore(servers, kept, options, silent));
    expect(report).toMatchObject({ sent: 4, deleted: 0, account: "admin@localhost.localdomain" });
    expect(livingProcesses(laptop.paths)).toEqual([]);

    await withServers(laptop, false, async (servers) => {
      const { rows } = await query(servers.database_url, "select password_hash from users");
      expect(rows[0].password_hash).toMatch(/^\$argon2id\$/);
      const s3 = createS3Client(servers.storage);
      const get = (Key: string) => s3.send(new GetObjectCommand({ Bucket: "vision-platform", Key }));
      const large = await get("weights/large.bin");
      expect(LARGE.equals((await large.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
      expect(large.ContentType).toBe("text/plain");
      expect(await (await get("jobs/1/a name, with (signs) & umläuts+.txt")).Body?.transformToString()).toBe("hello");
      s3.destroy();
      const again = await backup(servers, join(folder, "again"), undefined, silent);
      expect(again.manifest).toMatchObject({ shape: "laptop", database: { rows: 1 }, objects: { count: 4 } });
      expect(again.manifest.secrets_left_out).not.toContain("account");
      expect(readFileSync(join(folder, "again", again.name, "manifest.json"), "utf8")).not.toContain(
        ensureSecrets(laptop.paths.secrets).postgres_password,
      );
    });
  });

  it("that was interrupted does not count, and is cleared away by the next one that may", async () => {
    const kept = join(folder, "kept");
    const [first] = await Array.fromAsync(readObjects(kept, (await backup(source, kept, undefined, silent)).name));
    writeFileSync(contentPath(kept, first?.sha256 ?? ""), "torn");
    const mended = await backup(source, kept, 1, silent);
    expect(mended.manifest.objects.copied).toBeGreaterThan(0);
    expect(mended.removed.length).toBeGreaterThan(1);
    const fresh = vpPaths(join(folder, ".vp-two"));
    const options = { at: mended.name, replace: false };
    const report = await withServers({ composeEnv: null, paths: fresh }, true, (servers) =>
      restore(servers, kept, options, silent),
    );
    expect(report.sent).toBe(4);

    const two = { composeEnv: null, paths: fresh };
    await withServers(two, true, async (servers) => {
      const s3 = createS3Client(servers.storage);
      const put = (Key: string) => s3.send(new PutObjectCommand({ Bucket: "vision-platform", Key, Body: "later" }));
      // More than one page of a listing.
      for (let number = 0; number < 1_100; number += 1) await put(`jobs/9/${number}.txt`);
      await put("jobs/2/copy.txt");
      s3.destroy();
      await expect(restore(servers, kept, options, silent)).rejects.toThrow(/not empty.*--replace/);
      const replaced = await restore(servers, kept, { ...options, replace: true }, silent);
      expect(replaced).toMatchObject({ sent: 1, deleted: 1_100 });
    });
  });
});
