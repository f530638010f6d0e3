/** For tests: a whole gateway on a free port over the real Postgres, Redis and S3 of the run. */
import { randomBytes } from "node:crypto";
import type { Server } from "node:http";
import { join } from "node:path";
import { type ApiClient, createApiClient } from "@vision-platform/common/api-client";
import { closeServer, listen } from "@vision-platform/common/lifecycle";
import { createLogger } from "@vision-platform/common/logger";
import { connectRedis } from "@vision-platform/common/redis";
import { ensureBucket } from "@vision-platform/common/s3";
import { startTracing, stopTracing } from "@vision-platform/common/tracing";
import { register, type Session } from "@vision-platform/contracts/api/auth";
import { createProject } from "@vision-platform/contracts/api/projects";
import { sql } from "kysely";
import { createGatewayServer } from "./app.ts";
import { type GatewayConfig, readConfig, testServices } from "./config.ts";
import { connectDatabase } from "./db/db.ts";
import { createGateway, type Gateway } from "./gateway.ts";
import { startBackground } from "./reconcile/background.ts";

export interface TestUser extends ApiClient {
  session: Session;
}

export interface TestGateway {
  url: string;
  gateway: Gateway;
  server: Server;
  /** A new account; the first one of a gateway is its administrator. */
  user(name?: string): Promise<TestUser>;
  /** Calls with INTERNAL_TOKEN. */
  internal: ApiClient;
  anonymous: ApiClient;
  clientFor(token: string): ApiClient;
  /** A project of that user. */
  project(owner: ApiClient): Promise<number>;
  stop(): Promise<void>;
}

export interface TestGatewayOptions {
  config?: Partial<GatewayConfig>;
  /** Dispatcher and reconciler; default true. */
  background?: boolean;
  /** Default true: an answer that does not match its contract becomes a 500. */
  checkResponses?: boolean;
}

export const TRAINERS = join(import.meta.dirname, "../../../trainers");
export const PASSWORD = "correct horse battery";

async function makeDatabase(adminUrl: string): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `gw_${randomBytes(6).toString("hex")}`;
  const admin = connectDatabase(adminUrl, 1);
  await sql.raw(`create database ${name}`).execute(admin);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async drop() {
      await sql.raw(`drop database ${name} with (force)`).execute(admin);
      await admin.destroy();
    },
  };
}

/** Redis has 16 logical databases; each test gateway takes the next of 1 to 14, so that queues and streams stay apart. */
async function ownRedis(url: string): Promise<string> {
  const counter = connectRedis(url, "blocking");
  const own = new URL(url);
  const place = 1 + ((await counter.incr("test:gateways")) % 14);
  own.pathname = `/${place}`;
  // The numbers come round again: what an earlier gateway left would be taken for ours.
  await counter.select(place);
  await counter.flushdb();
  counter.disconnect();
  return own.href;
}

/** Needs the TEST_* variables of the test run. Stop it in `afterAll`: its database is dropped then. */
export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const services = testServices();
  const database = await makeDatabase(services.TEST_DATABASE_URL);
  const config: GatewayConfig = {
    ...readConfig({
      PORT: "0",
      DATABASE_URL: database.url,
      REDIS_URL: await ownRedis(services.TEST_REDIS_URL),
      S3_ENDPOINT: services.TEST_S3_ENDPOINT,
      S3_ACCESS_KEY_ID: services.TEST_S3_ACCESS_KEY_ID,
      S3_SECRET_ACCESS_KEY: services.TEST_S3_SECRET_ACCESS_KEY,
      // Job ids begin at 1 in every database: in one bucket a job would find another's files.
      STORAGE_BUCKET: `${services.TEST_S3_BUCKET}-${randomBytes(4).toString("hex")}`,
      JWT_SECRET: randomBytes(32).toString("hex"),
      INTERNAL_TOKEN: randomBytes(32).toString("hex"),
      TRAINERS_DIR: TRAINERS,
      REGISTER_LIMIT: "10000",
    }),
    ...options.config,
  };
  const logger = createLogger("gateway", services.TEST_LOG_LEVEL);
  await startTracing("gateway", logger);
  const gateway = await createGateway(config, logger);
  // The gateway makes it too, without waiting; a storage that is away is what some tests are about.
  await ensureBucket(gateway.s3, config.STORAGE_BUCKET).catch(() => undefined);
  const server = createGatewayServer(gateway, { checkResponses: options.checkResponses ?? true });
  const background = options.background === false ? undefined : startBackground(gateway);
  const url = `http://127.0.0.1:${await listen(server, 0, "127.0.0.1")}`;
  const anonymous = createApiClient(url);
  let users = 0;
  return {
    url,
    gateway,
    server,
    anonymous,
    clientFor: (token) => createApiClient(url, token),
    internal: createApiClient(url, config.INTERNAL_TOKEN),
    async user(name = `user${++users}`) {
      const session = await anonymous.call(register, {
        body: { email: `${name}@example.org`, password: PASSWORD, name },
      });
      return { ...createApiClient(url, session.access_token), session };
    },
    async project(owner) {
      return (await owner.call(createProject, { body: { name: "A project" } })).id;
    },
    async stop() {
      gateway.startDraining();
      server.closeAllConnections();
      await Promise.all([closeServer(server), background?.stop()]);
      await gateway.close();
      await stopTracing();
      await database.drop();
    },
  };
}
