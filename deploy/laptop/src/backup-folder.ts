import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { z } from "zod";

// A folder with backups:
//   objects/ab/<sha256>             the storage's objects, each content once, whichever backups it is part of
//   <time>/database/…               the rows of that moment
//   <time>/objects.jsonl.gz         which object has which content
//   <time>/manifest.json            written last: without it the backup is not finished, and does not count

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One object of the storage: its key, its content, and what the storage knew about it. */
export const StoredObject = z.object({
  key: z.string().min(1),
  bytes: z.int().min(0),
  sha256: Sha256,
  etag: z.string(),
  content_type: z.string().optional(),
  content_encoding: z.string().optional(),
  content_disposition: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});
export type StoredObject = z.infer<typeof StoredObject>;

export const BackupManifest = z.object({
  format: z.literal(1),
  /** When the rows were read; the objects are at least as new. */
  taken_at: z.string(),
  finished_at: z.string(),
  platform_version: z.string(),
  shape: z.enum(["laptop", "compose"]),
  /** Rows and checkpoints name their objects with it: a restore needs a bucket of the same name. */
  bucket: z.string(),
  database: z.object({ migrations: z.array(z.string()), rows: z.int(), bytes: z.int(), sha256: Sha256 }),
  objects: z.object({ count: z.int(), bytes: z.int(), copied: z.int(), copied_bytes: z.int(), sha256: Sha256 }),
  running_jobs: z.array(z.int()),
  /** What a person should look at; empty when everything that the rows name is there. */
  warnings: z.array(z.string()),
  settings: z.record(z.string(), z.string()),
  /** Names of settings whose values are secrets and not in here. */
  secrets_left_out: z.array(z.string()),
});
export type BackupManifest = z.infer<typeof BackupManifest>;

const NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/;

/** A folder's name for a moment: its RFC 3339 form without what file systems dislike. */
export function backupName(moment: Date): string {
  return moment.toISOString().replace(/[:.]/g, "-");
}

export function backupFiles(folder: string, name: string) {
  const dir = join(folder, name);
  return {
    dir,
    database: join(dir, "database"),
    objects: join(dir, "objects.jsonl.gz"),
    manifest: join(dir, "manifest.json"),
  };
}

/** Where a content lies. */
export function contentPath(folder: string, sha256: string): string {
  return join(folder, "objects", sha256.slice(0, 2), sha256);
}

/** The finished backups of a folder, oldest first. */
export function listBackups(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => NAME.test(name) && existsSync(backupFiles(folder, name).manifest))
    .sort();
}

/** Everything in the folder that looks like a backup, interrupted ones included. */
export function listBegun(folder: string): string[] {
  return readdirSync(folder).filter((name) => NAME.test(name) && statSync(join(folder, name)).isDirectory());
}

/**
 * The description of a finished backup.
 * @throws Error that names the file when it is damaged, or of a format that this version does not know.
 */
export function readManifest(folder: string, name: string): BackupManifest {
  const file = backupFiles(folder, name).manifest;
  const parsed = BackupManifest.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${file}: ${issue?.path.join(".")}: ${issue?.message}`);
}

/** The objects of a finished backup, one after the other. */
export async function* readObjects(folder: string, name: string): AsyncGenerator<StoredObject> {
  const text = createReadStream(backupFiles(folder, name).objects).pipe(createGunzip());
  for await (const line of createInterface({ input: text })) yield StoredObject.parse(JSON.parse(line));
}

/** sha256 of a file, in hex. */
export async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
