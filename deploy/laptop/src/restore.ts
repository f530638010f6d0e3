import { existsSync } from "node:fs";
import type { S3Client } from "@aws-sdk/client-s3";
import { connectRedis } from "@vision-platform/common/redis";
import { checkBucket, createS3Client, ensureBucket } from "@vision-platform/common/s3";
import { z } from "zod";
import {
  type BackupManifest,
  backupFiles,
  contentPath,
  fileHash,
  listBackups,
  readManifest,
  readObjects,
  type StoredObject,
} from "./backup-folder.ts";
import { isEmpty } from "./backup-objects.ts";
import type { Servers } from "./backup-servers.ts";
import { askDatabase } from "./database-child.ts";
import { inParallel } from "./in-parallel.ts";
import type { Progress } from "./progress.ts";
import { putObjects } from "./restore-objects.ts";

const AT_ONCE = 8;

const Restored = z.object({
  rows: z.int(),
  tables: z.int(),
  migrated: z.array(z.string()),
  running_jobs: z.array(z.int()),
  account: z.string().nullish(),
});

export interface RestoreReport extends z.infer<typeof Restored> {
  name: string;
  manifest: BackupManifest;
  /** Objects sent to the storage; those that were there already are not among them. */
  sent: number;
  deleted: number;
  redis_keys: number;
}

/** How many steps `restore` shows. */
export const RESTORE_STEPS = 5;

/**
 * Brings a backup back: objects first, then the rows in one transaction, then this version's migrations. Jobs that ran
 * while the backup was taken go on from their last checkpoint as soon as the platform is up.
 * @param options.at which of the folder's backups; the newest when undefined.
 * @param options.replace gives up what the database and the bucket hold; without it both must be empty.
 * @throws Error before anything is changed when the backup is damaged, the target is not empty, or a gateway runs on it.
 */
export async function restore(
  servers: Servers,
  folder: string,
  options: { at: string | undefined; replace: boolean },
  progress: Progress,
): Promise<RestoreReport> {
  const name = choose(folder, options.at);
  const manifest = readManifest(folder, name);
  if (manifest.bucket !== servers.storage.STORAGE_BUCKET) {
    const { STORAGE_BUCKET: found } = servers.storage;
    throw new Error(`STORAGE_BUCKET: found ${found}, but rows and checkpoints of this backup name ${manifest.bucket}`);
  }
  const objects = await progress.run("Checking the backup", (detail) => verify(folder, name, manifest, detail));
  const s3 = createS3Client(servers.storage);
  const bucket = servers.storage.STORAGE_BUCKET;
  try {
    await progress.run("Checking the target", () => refuseUnlessFree(servers, s3, options.replace));
    const change = await progress.run("Objects", (detail) => putObjects(s3, bucket, folder, objects, detail));
    const words = ["restore", backupFiles(folder, name).database];
    const restored = Restored.parse(
      await progress.run("Database", () => askDatabase(words, servers.database_url, servers.account)),
    );
    const redis_keys = await progress.run("Redis", () => emptyRedis(servers.redis_url));
    return { name, manifest, ...restored, ...change, redis_keys };
  } finally {
    s3.destroy();
  }
}

function choose(folder: string, at: string | undefined): string {
  const names = listBackups(folder);
  const name = at === undefined ? names.at(-1) : names.find((known) => known === at);
  if (name !== undefined) return name;
  throw new Error(`there is no ${at ? `finished backup ${at}` : "finished backup"} in ${folder}; ${told(names)}`);
}

function told(names: string[]): string {
  return names.length === 0 ? "./vp backup makes one" : `there are ${names.join(", ")}`;
}

/** Every file is compared with its hash before anything is touched. */
async function verify(
  folder: string,
  name: string,
  manifest: BackupManifest,
  detail: (text: string) => void,
): Promise<Map<string, StoredObject>> {
  const files = backupFiles(folder, name);
  const whole = async (path: string, sha256: string) => {
    if (!existsSync(path)) throw new Error(`the backup is damaged: ${path} is missing`);
    if ((await fileHash(path)) !== sha256) throw new Error(`the backup is damaged: the sha256 of ${path} is another`);
  };
  await whole(files.objects, manifest.objects.sha256);
  await whole(`${files.database}/database.json`, manifest.database.sha256);
  const objects = new Map<string, StoredObject>();
  for await (const object of readObjects(folder, name)) objects.set(object.key, object);
  const contents = [...new Set([...objects.values()].map(({ sha256 }) => sha256))];
  let done = 0;
  await inParallel(contents, AT_ONCE, async (sha256) => {
    await whole(contentPath(folder, sha256), sha256);
    done += 1;
    detail(`${done} of ${contents.length} files`);
  });
  return objects;
}

async function refuseUnlessFree(servers: Servers, s3: S3Client, replace: boolean): Promise<void> {
  const bucket = servers.storage.STORAGE_BUCKET;
  const answer = z
    .object({ obstacle: z.string().nullable() })
    .parse(await askDatabase(["check", ...(replace ? ["--replace"] : [])], servers.database_url));
  if (answer.obstacle !== null) throw new Error(answer.obstacle);
  await ensureBucket(s3, bucket);
  await checkBucket(s3, bucket);
  if (!replace && !(await isEmpty(s3, bucket))) {
    throw new Error(`the bucket ${bucket} is not empty; --replace gives up what it holds and the backup does not`);
  }
}

/** Queues and streams of another past would be taken for the restored jobs': the gateway makes them again from the rows. */
async function emptyRedis(url: string): Promise<number> {
  const redis = connectRedis(url, "blocking", {
    connectTimeout: 5_000,
    maxRetriesPerRequest: 3,
    commandTimeout: 10_000,
  });
  try {
    let keys = 0;
    for await (const found of redis.scanStream({ match: "vp:*", count: 1_000 })) {
      if (found.length > 0) keys += await redis.unlink(...(found as string[]));
    }
    return keys;
  } finally {
    redis.disconnect();
  }
}
