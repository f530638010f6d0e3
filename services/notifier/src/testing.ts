/** For tests: the real gateway as a process of its own, jobs with events in it, notifiers and clients in front of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ApiClient, createApiClient } from "@vision-platform/common/api-client";
import { createLogger } from "@vision-platform/common/logger";
import { connectRedis } from "@vision-platform/common/redis";
import { register, type Session } from "@vision-platform/contracts/api/auth";
import { completeUpload, createDataset, createUpload } from "@vision-platform/contracts/api/datasets";
import {
  claimAttempt,
  finishAttempt,
  pushEvents,
  renewLease,
  replayEvents,
} from "@vision-platform/contracts/api/internal";
import { createProject } from "@vision-platform/contracts/api/projects";
import type { ClientToServer, ServerToClient } from "@vision-platform/contracts/live";
import { io, type Socket } from "socket.io-client";
import { BEACON_MS } from "./beacon.ts";
import { testServices } from "./config.ts";
import { type Notifier, type Pace, startNotifier } from "./notifier.ts";
import { LIMITS } from "./sockets/back-pressure.ts";

export type LiveClient = Socket<ServerToClient, ClientToServer>;
export interface TestUser extends ApiClient {
  session: Session;
}

/** Waits until `check` is true; the test's own time limit is the only one. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await sleep(20);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Redis has 16 logical databases: test files take the next one, in turn with the gateway's tests. */
async function ownRedis(url: string): Promise<string> {
  const counter = connectRedis(url, "blocking");
  const own = new URL(url);
  own.pathname = `/${1 + ((await counter.incr("test:gateways")) % 15)}`;
  counter.disconnect();
  return own.href;
}

/** A gateway process that can be killed and started again at the same address. */
class GatewayProcess {
  readonly url: string;
  readonly #environment: Record<string, string>;
  #process: ChildProcess | undefined;

  constructor(port: number, environment: Record<string, string>) {
    this.url = `http://127.0.0.1:${port}`;
    this.#environment = { ...environment, PORT: String(port) };
  }

  async start(): Promise<void> {
    const main = join(import.meta.dirname, "../../gateway/src/main.ts");
    this.#process = spawn(process.execPath, [main], { env: this.#environment, stdio: ["ignore", "ignore", "inherit"] });
    await until(async () => (await fetch(`${this.url}/ready`).catch(() => undefined))?.status === 200);
  }

  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    running.kill("SIGKILL");
    await once(running, "exit");
  }
}

export class TestWorld {
  readonly gateway: GatewayProcess;
  readonly redisUrl: string;
  readonly jwtSecret: string;
  readonly internalToken: string;
  readonly #internal: ApiClient;
  readonly #notifiers: Notifier[] = [];
  readonly #clients: LiveClient[] = [];
  readonly #jobs: TestJob[] = [];

  constructor(gateway: GatewayProcess, redisUrl: string, jwtSecret: string, internalToken: string) {
    this.gateway = gateway;
    this.redisUrl = redisUrl;
    this.jwtSecret = jwtSecret;
    this.internalToken = internalToken;
    this.#internal = createApiClient(gateway.url, internalToken);
  }

  async user(): Promise<TestUser> {
    const email = `${randomBytes(6).toString("hex")}@example.org`;
    const session = await createApiClient(this.gateway.url).call(register, {
      body: { email, password: "correct horse battery" },
    });
    return { ...createApiClient(this.gateway.url, session.access_token), session };
  }

  async project(owner: ApiClient): Promise<number> {
    return (await owner.call(createProject, { body: { name: "A project" } })).id;
  }

  /** A job that this test runs in the place of a worker. */
  async job(owner: ApiClient, project_id: number): Promise<TestJob> {
    const name = randomBytes(6).toString("hex");
    const dataset = await owner.call(createDataset, { body: { project_id, name, task_type: "image_classification" } });
    const params = { dataset_id: dataset.id };
    const zip = Buffer.concat([Buffer.from("PK\u0005\u0006"), Buffer.alloc(18)]);
    const upload = await owner.call(createUpload, { params, body: { filename: "a.zip", bytes: zip.length } });
    const put = await fetch(upload.urls[0]?.url ?? "", { method: "PUT", body: zip });
    if (!put.ok) throw new Error(`the storage answers ${put.status}`);
    const { job_id } = await owner.call(completeUpload, {
      params: { ...params, upload_id: upload.upload_id },
      body: {},
    });
    const attempt = { job_id, attempt: 1 };
    const { lease_token } = await this.#internal.call(claimAttempt, {
      params: attempt,
      body: { worker_id: "test", host: "test" },
    });
    const { head } = await this.#internal.call(replayEvents, { params: { job_id }, query: { after: 0 } });
    const job = new TestJob(this.#internal, attempt, lease_token, head);
    this.#jobs.push(job);
    return job;
  }

  /** `redisUrl`: another one, where nothing is published, stands for publications that are lost. */
  async notifier(pace: Partial<Pace> = {}, redisUrl = this.redisUrl): Promise<string> {
    const config = {
      PORT: 0,
      HOST: "127.0.0.1",
      REDIS_URL: redisUrl,
      GATEWAY_URL: this.gateway.url,
      INTERNAL_TOKEN: this.internalToken,
      LOG_LEVEL: "error" as const,
    };
    const notifier = await startNotifier(config, createLogger("notifier", testServices().TEST_LOG_LEVEL), {
      beaconMs: BEACON_MS,
      limits: LIMITS,
      ...pace,
    });
    this.#notifiers.push(notifier);
    return `http://127.0.0.1:${notifier.port}`;
  }

  client(url: string, token: unknown): LiveClient {
    const client: LiveClient = io(url, { transports: ["websocket"], forceNew: true, auth: { token } });
    this.#clients.push(client);
    return client;
  }

  /** An access token of that user that ends so soon (seconds). */
  shortToken(userId: number, seconds: number): string {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      sub: String(userId),
      is_admin: false,
      iat: now,
      exp: now + seconds,
      iss: "vision-platform",
      aud: "vision-platform-api",
    };
    const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
    return `${signed}.${createHmac("sha256", this.jwtSecret).update(signed).digest("base64url")}`;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    for (const job of this.#jobs) job.leave();
    await Promise.all(this.#notifiers.map((notifier) => notifier.stop()));
    await this.gateway.kill();
  }
}

/** A claimed attempt; events are pushed as its worker would push them. */
export class TestJob {
  readonly id: number;
  /** Number of its newest event. */
  head: number;
  readonly #internal: ApiClient;
  readonly #attempt: { job_id: number; attempt: number };
  readonly #leaseToken: string;
  readonly #renewal: NodeJS.Timeout;
  #srcSeq = 0;

  constructor(internal: ApiClient, attempt: { job_id: number; attempt: number }, leaseToken: string, head: number) {
    this.head = head;
    this.id = attempt.job_id;
    this.#internal = internal;
    this.#attempt = attempt;
    this.#leaseToken = leaseToken;
    this.#renewal = setInterval(() => {
      // The gateway may be away on purpose.
      internal.call(renewLease, { params: attempt, body: { lease_token: leaseToken } }).catch(() => undefined);
    }, 3_000);
  }

  /** Commits so many log events, or these. */
  async push(events: number | { type: string; data: object }[]): Promise<void> {
    const list =
      typeof events === "number"
        ? Array.from({ length: events }, () => ({ type: "log", data: { level: "info", message: "x" } }))
        : events;
    for (let from = 0; from < list.length; from += 200) {
      const part = list.slice(from, from + 200).map((event) => ({
        v: 1 as const,
        ts: new Date().toISOString(),
        src_seq: ++this.#srcSeq,
        ...event,
        data: { ...event.data },
      }));
      await this.#internal.call(pushEvents, {
        params: this.#attempt,
        body: { lease_token: this.#leaseToken, source: "trainer", events: part },
      });
      this.head += part.length;
    }
  }

  /** Lets the lease run out. */
  leave(): void {
    clearInterval(this.#renewal);
  }

  async fail(): Promise<void> {
    this.leave();
    const failure = { code: "BAD_CONFIG" as const, message: "as the test wants it" };
    await this.#internal.call(finishAttempt, {
      params: this.#attempt,
      body: { lease_token: this.#leaseToken, outcome: "failed", exit_code: 2, failure },
    });
  }
}

/** Needs the TEST_* variables of the test run. */
export async function startTestWorld(): Promise<TestWorld> {
  const services = testServices();
  const redisUrl = await ownRedis(services.TEST_REDIS_URL);
  const jwtSecret = randomBytes(32).toString("hex");
  const internalToken = randomBytes(32).toString("hex");
  const gateway = new GatewayProcess(await freePort(), {
    PATH: services.PATH,
    DATABASE_URL: services.TEST_DATABASE_URL,
    REDIS_URL: redisUrl,
    S3_ENDPOINT: services.TEST_S3_ENDPOINT,
    S3_ACCESS_KEY_ID: services.TEST_S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY: services.TEST_S3_SECRET_ACCESS_KEY,
    STORAGE_BUCKET: services.TEST_S3_BUCKET,
    JWT_SECRET: jwtSecret,
    INTERNAL_TOKEN: internalToken,
    TRAINERS_DIR: join(import.meta.dirname, "../../../trainers"),
    REGISTER_LIMIT: "10000",
    LOG_LEVEL: "error",
  });
  await gateway.start();
  const world = new TestWorld(gateway, redisUrl, jwtSecret, internalToken);
  // The first account of a platform is its administrator, who may see everything: nobody a test should be.
  await world.user();
  return world;
}

/** The numbers of a job's events in the order they came. */
export function numbersOf(client: LiveClient, jobId: number): number[] {
  const numbers: number[] = [];
  client.on("job_event", (event) => {
    if (event.job_id === jobId) numbers.push(event.seq);
  });
  return numbers;
}

export const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);
