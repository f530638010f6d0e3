/** What must be there before the gateway works, with patience: after a restart of everything the parts come up in any order. */
import { setTimeout as sleep } from "node:timers/promises";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Logger } from "@vision-platform/common/logger";
import { ensureBucket } from "@vision-platform/common/s3";
import type { Pool } from "./db/db.ts";
import { migrate } from "./db/migrate.ts";
import { asAppError } from "./http/problem.ts";

const AGAIN_MS = 500;
const POSTGRES_PATIENCE_MS = 30_000;

/** Runs the migrations. Rejects with their own error at once, and when Postgres does not answer for 30 s. */
export async function migrateWhenUp(db: Pool, logger: Logger, patience = POSTGRES_PATIENCE_MS): Promise<void> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      const applied = await migrate(db);
      if (applied.length > 0) logger.info({ applied }, "database migrated");
      return;
    } catch (error) {
      if (asAppError(error)?.status !== 503 || performance.now() > end) throw error;
      logger.warn({ err: error }, "Postgres does not answer yet");
      await sleep(AGAIN_MS);
    }
  }
}

/** Makes the bucket as soon as the storage answers; until then `/ready` names it. Resolves also when `until` aborts. */
export async function makeBucketWhenUp(
  s3: S3Client,
  bucket: string,
  logger: Logger,
  until: AbortSignal,
): Promise<void> {
  for (let tries = 0; !until.aborted; tries += 1) {
    try {
      return await ensureBucket(s3, bucket);
    } catch (error) {
      if (tries === 0) logger.warn({ err: error }, "the bucket is not there yet");
      await sleep(AGAIN_MS, undefined, { signal: until, ref: false }).catch(() => undefined);
    }
  }
}
