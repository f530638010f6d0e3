import { createReadStream, createWriteStream, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { createS3Client } from "@vision-platform/common/s3";
import { z } from "zod";
import {
  type BackupManifest,
  backupFiles,
  backupName,
  fileHash,
  listBackups,
  listBegun,
  readObjects,
  type StoredObject,
} from "./backup-folder.ts";
import { copyObjects } from "./backup-objects.ts";
import type { Servers } from "./backup-servers.ts";
import { askDatabase } from "./database-child.ts";
import { ROOT } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { writePrivately } from "./secrets.ts";

const Dumped = z.object({
  taken_at: z.string(),
  migrations: z.array(z.string()),
  tables: z.array(z.object({ rows: z.int(), bytes: z.int() })),
  running_jobs: z.array(z.int()),
});
const SECRET = /SECRET|PASSWORD|TOKEN|KEY|DATABASE_URL|REDIS_URL/;

/** How many steps `backup` shows. */
export const BACKUP_STEPS = 3;

/**
 * Adds a backup of the platform to `folder`, while the platform goes on. The rows come first, all of one moment; then
 * the objects, which are never older: what a row names is there. Redis holds nothing that is not made again from the rows.
 * @param keep how many backups stay in the folder afterwards, the new one among them; all when undefined.
 * @throws Error when Postgres or the storage does not answer; what was begun then does not count as a backup.
 */
export async function backup(
  servers: Servers,
  folder: string,
  keep: number | undefined,
  progress: Progress,
): Promise<{ name: string; manifest: BackupManifest; removed: string[] }> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const name = backupName(new Date());
  const files = backupFiles(folder, name);
  const dumped = Dumped.parse(
    await progress.run("Database", () => askDatabase(["dump", files.database], servers.database_url)),
  );
  const s3 = createS3Client(servers.storage);
  const bucket = servers.storage.STORAGE_BUCKET;
  const known = await newestObjects(folder);
  const copied = await progress
    .run("Objects", (detail) => copyObjects(s3, bucket, folder, known, detail))
    .finally(() => s3.destroy());
  const objects = [...copied.objects.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  await writeLines(files.objects, objects);
  const { settings, secrets_left_out } = withoutSecrets(servers.settings);
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  const manifest: BackupManifest = {
    format: 1,
    taken_at: dumped.taken_at,
    finished_at: new Date().toISOString(),
    platform_version: platformVersion(),
    shape: servers.shape,
    bucket,
    database: {
      migrations: dumped.migrations,
      rows: sum(dumped.tables.map(({ rows }) => rows)),
      bytes: sum(dumped.tables.map(({ bytes }) => bytes)),
      sha256: await fileHash(join(files.database, "database.json")),
    },
    objects: {
      count: objects.length,
      bytes: sum(objects.map(({ bytes }) => bytes)),
      copied: copied.copied,
      copied_bytes: copied.copied_bytes,
      sha256: await fileHash(files.objects),
    },
    running_jobs: dumped.running_jobs,
    warnings: [...copied.warnings, ...(await missingArtifacts(files.database, bucket, copied.objects))],
    settings,
    secrets_left_out,
  };
  writePrivately(files.manifest, `${JSON.stringify(manifest, null, 2)}\n`);
  const removed = await progress.run("Older backups", () => prune(folder, keep));
  return { name, manifest, removed };
}

async function newestObjects(folder: string): Promise<Map<string, StoredObject>> {
  const known = new Map<string, StoredObject>();
  const newest = listBackups(folder).at(-1);
  if (newest !== undefined) for await (const object of readObjects(folder, newest)) known.set(object.key, object);
  return known;
}

async function writeLines(file: string, values: readonly object[]): Promise<void> {
  const lines = Readable.from(linesOf(values));
  await pipeline(lines, createGzip(), createWriteStream(file, { mode: 0o600 }));
}

function* linesOf(values: readonly object[]): Generator<string> {
  for (const value of values) yield `${JSON.stringify(value)}\n`;
}

function withoutSecrets(all: Record<string, string>) {
  const names = Object.keys(all).sort();
  const secret = names.filter((name) => SECRET.test(name) && all[name]);
  const open = names.filter((name) => !SECRET.test(name) && all[name]);
  return { settings: Object.fromEntries(open.map((name) => [name, all[name] ?? ""])), secrets_left_out: secret };
}

function platformVersion(): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))).version;
}

/** A recorded artifact is there with its hash: what SUCCEEDED promises has to hold in a backup, too. */
async function missingArtifacts(
  database: string,
  bucket: string,
  objects: ReadonlyMap<string, StoredObject>,
): Promise<string[]> {
  const missing: string[] = [];
  const rows = createReadStream(join(database, "artifacts.jsonl.gz")).pipe(createGunzip());
  for await (const line of createInterface({ input: rows })) {
    const { job_id, name, uri, sha256 } = JSON.parse(line) as Record<"job_id" | "name" | "uri" | "sha256", string>;
    const found = objects.get(uri.replace(`s3://${bucket}/`, ""));
    if (found?.sha256 !== sha256)
      missing.push(`job ${job_id}: ${name} is ${found ? "not what was recorded" : "missing"}`);
  }
  return missing;
}

/** Removes the oldest backups, those that were interrupted, and what no backup names any more. */
async function prune(folder: string, keep: number | undefined): Promise<string[]> {
  const finished = listBackups(folder);
  const kept = keep === undefined ? finished : finished.slice(-keep);
  const removed = listBegun(folder).filter((name) => !kept.includes(name));
  if (removed.length === 0) return [];
  for (const name of removed) rmSync(backupFiles(folder, name).dir, { recursive: true });
  const needed = new Set<string>();
  for (const name of kept) for await (const object of readObjects(folder, name)) needed.add(object.sha256);
  const contents = join(folder, "objects");
  for (const part of statSync(contents, { throwIfNoEntry: false }) ? readdirSync(contents) : []) {
    for (const sha256 of readdirSync(join(contents, part))) {
      if (!needed.has(sha256)) rmSync(join(contents, part, sha256));
    }
  }
  return removed;
}
