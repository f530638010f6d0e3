/** Everything the gateway's features work with, put together in one place. */
import type { S3Client } from "@aws-sdk/client-s3";
import { createHealth, type Health } from "@vision-platform/common/health";
import type { Logger } from "@vision-platform/common/logger";
import { checkRedis, connectRedis } from "@vision-platform/common/redis";
import { checkBucket, createS3Client } from "@vision-platform/common/s3";
import type { Redis } from "ioredis";
import { API_KEY_PREFIX, type ApiKeys, createApiKeys } from "./auth/api-keys.service.ts";
import { createPasswords, type Passwords } from "./auth/passwords.ts";
import { createTokens, type Tokens } from "./auth/tokens.ts";
import type { GatewayConfig } from "./config.ts";
import { checkDatabase, connectDatabase, type Pool } from "./db/db.ts";
import type { Principal } from "./http/access.ts";
import { createJobParts, type JobParts } from "./jobs/job-parts.ts";
import { type Catalogue, loadCatalogue } from "./models/catalogue.ts";
import { makeBucketWhenUp, migrateWhenUp } from "./start-up.ts";

export interface Gateway extends JobParts {
  config: GatewayConfig;
  logger: Logger;
  db: Pool;
  /** For commands: fails within seconds when Redis is away. */
  redis: Redis;
  s3: S3Client;
  /** Signs URLs for people outside, who may see the storage under another address. */
  publicS3: S3Client;
  health: Health;
  catalogue: Catalogue;
  passwords: Passwords;
  tokens: Tokens;
  apiKeys: ApiKeys;
  /** Who is behind an access token or API key. Rejects with 401. */
  verifyUser(token: string): Promise<Principal>;
  /** Aborted when the gateway begins to drain: streams end, loops stop. */
  draining: AbortSignal;
  /** Begins to drain; answers go on. */
  startDraining(): void;
  /** Closes every connection. */
  close(): Promise<void>;
}

/** Connects, migrates and makes the bucket. Rejects when Postgres does not answer for 30 s; Redis and S3 may come later. */
export async function createGateway(config: GatewayConfig, logger: Logger): Promise<Gateway> {
  const catalogue = await loadCatalogue(config.TRAINERS_DIR, config.ENABLED_FRAMEWORKS);
  const db = connectDatabase(config.DATABASE_URL);
  const redis = connectRedis(config.REDIS_URL, "command");
  const s3 = createS3Client(config);
  const publicS3 = config.S3_PUBLIC_ENDPOINT ? createS3Client(config, config.S3_PUBLIC_ENDPOINT) : s3;
  const health = createHealth("gateway", {
    postgres: () => checkDatabase(db),
    redis: () => checkRedis(redis),
    s3: () => checkBucket(s3, config.STORAGE_BUCKET),
  });
  await migrateWhenUp(db, logger);

  const tokens = createTokens(config);
  const apiKeys = createApiKeys(db);
  const jobParts = createJobParts({ db, redis, config, logger, health });
  const drain = new AbortController();
  void makeBucketWhenUp(s3, config.STORAGE_BUCKET, logger, drain.signal);
  return {
    ...{ config, logger, db, redis, s3, publicS3, health, catalogue, tokens, apiKeys, ...jobParts },
    passwords: createPasswords(),
    verifyUser: async (token) =>
      token.startsWith(API_KEY_PREFIX) ? await apiKeys.verify(token) : tokens.verifyAccess(token),
    draining: drain.signal,
    startDraining() {
      health.startDraining();
      drain.abort();
    },
    async close() {
      await jobParts.dispatcher.close();
      redis.disconnect();
      s3.destroy();
      publicS3.destroy();
      await db.destroy();
    },
  };
}
