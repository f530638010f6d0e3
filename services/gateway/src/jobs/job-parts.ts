/** What the job folders need of the gateway, and the parts they bring to it. */

import type { S3Client } from "@aws-sdk/client-s3";
import type { Health } from "@vision-platform/common/health";
import type { Logger } from "@vision-platform/common/logger";
import type { Redis } from "ioredis";
import type { Db } from "../db/db.ts";
import { createDispatcher, type Dispatcher } from "../dispatch/dispatcher.ts";
import { type Announcer, createAnnouncer } from "../events/announcements.ts";
import { createEventMeters, type EventMeters } from "../events/event-meters.ts";
import { createLiveEvents, type LiveEvents } from "../events/live-events.ts";
import { createEventPublisher } from "../events/publisher.ts";
import type { Catalogue } from "../models/catalogue.ts";
import { createAttemptEnds } from "../telemetry/attempt-ends.ts";

/** Which frameworks and models there are, and what their settings may be. */
export type JobsCatalogue = Pick<Catalogue, "manifest" | "model" | "validateConfig">;

export interface JobsBase {
  db: Db;
  /** A command connection: fails at once while Redis is away. */
  redis: Redis;
  s3: S3Client;
  /** Signs URLs with the address that people outside reach. */
  publicS3: S3Client;
  config: { STORAGE_BUCKET: string; REDIS_URL: string };
  logger: Logger;
  tokens: { mintCallbackToken(claims: { job_id: number; attempt: number; ttl_s: number }): string };
  /** Aborted when the gateway begins to drain: streams end. */
  draining: AbortSignal;
  catalogue: JobsCatalogue;
  health: Pick<Health, "registry">;
}

export interface JobParts {
  dispatcher: Dispatcher;
  announcer: Announcer;
  live: LiveEvents;
  meters: EventMeters;
}

export type JobsGateway = JobsBase & JobParts;

/** Opens no connection of its own until somebody listens to a job's events. */
export function createJobParts(base: Pick<JobsBase, "db" | "redis" | "config" | "logger" | "health">): JobParts {
  const dispatcher = createDispatcher(base.redis, base.logger);
  const publisher = createEventPublisher(base.redis, base.health.registry, base.logger);
  const ends = createAttemptEnds(base.db, base.health.registry, base.logger);
  return {
    dispatcher,
    announcer: createAnnouncer(base.redis, publisher, dispatcher, ends, base.logger),
    live: createLiveEvents(base.config.REDIS_URL, base.logger),
    meters: createEventMeters(base.health.registry),
  };
}
