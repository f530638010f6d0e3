/** A whole platform for a test or a benchmark: the real services as processes, over real Postgres, Redis and S3. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { SERVICE_NODE_OPTIONS } from "@vision-platform/common/node-options";
import { relayedDoors } from "@vision-platform/common/relayed-address";
import { createS3Client } from "@vision-platform/common/s3";
import pg from "pg";

export const CHECKOUT = resolve(import.meta.dirname, "../..");
export type ServiceName = "gateway" | "notifier" | `worker-${string}`;

/** Where the servers are: what `deploy/laptop/src/test-services.ts` puts into the environment. */
export interface Servers {
  database_url: string;
  redis_url: string;
  s3_endpoint: string;
  s3_access_key_id: string;
  s3_secret_access_key: string;
}

export function serversFromEnvironment(): Servers {
  const read = (name: string) => {
    const value = process.env[name];
    if (!value) throw new Error(`${name} is not set: run by ./vp test`);
    return value;
  };
  return {
    database_url: read("TEST_DATABASE_URL"),
    redis_url: read("TEST_REDIS_URL"),
    s3_endpoint: read("TEST_S3_ENDPOINT"),
    s3_access_key_id: read("TEST_S3_ACCESS_KEY_ID"),
    s3_secret_access_key: read("TEST_S3_SECRET_ACCESS_KEY"),
  };
}

export interface PlatformOptions {
  servers: Servers;
  /** One worker for each; default timm and dataset. Those that are off by default are switched on. */
  frameworks?: string[];
  /** Redis' logical database: platforms that run at the same time need different ones. */
  redis_db: number;
  slots?: number;
  /** Where trainer.json files lie, when not in the checkout. */
  trainers_dir?: string;
  trainer_envs_dir?: string;
  /** These frameworks' trainers run in containers; see docker-agent.ts. */
  in_containers?: { frameworks: string[]; agent_socket: string };
}

const READY_LIMIT_MS = 30_000;

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** A database of its own on the server of `url`. */
export async function createDatabase(url: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `e2e_${randomBytes(5).toString("hex")}`;
  const run = async (statement: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(statement);
    await client.end();
  };
  await run(`create database ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  return { url: own.toString(), drop: () => run(`drop database if exists ${name} with (force)`) };
}

/** Starts, kills and restarts the services of one platform. Call `stop` in the end; it leaves nothing behind. */
export class Platform {
  readonly gateway_url: string;
  readonly notifier_url: string;
  readonly database_url: string;
  readonly redis_url: string;
  readonly bucket: string;
  /** What services call the gateway's internal operations with. */
  readonly internal_token: string;
  readonly servers: Servers;
  readonly folder: string;
  /** What the docker agent must open for this platform's trainers. */
  readonly relays: string;
  readonly #environments = new Map<ServiceName, Record<string, string>>();
  readonly #running = new Map<ServiceName, ChildProcess>();
  readonly #dropDatabase: () => Promise<void>;

  private constructor(options: PlatformOptions, database: { url: string; drop: () => Promise<void> }, ports: number[]) {
    const [gatewayPort = 0, notifierPort = 0, ...workerPorts] = ports;
    this.servers = options.servers;
    this.folder = mkdtempSync(join(tmpdir(), "vp-e2e-"));
    this.bucket = `e2e-${randomBytes(5).toString("hex")}`;
    this.database_url = database.url;
    this.#dropDatabase = database.drop;
    const redis = new URL(options.servers.redis_url);
    redis.pathname = `/${options.redis_db}`;
    this.redis_url = redis.toString();
    this.gateway_url = `http://127.0.0.1:${gatewayPort}`;
    this.notifier_url = `http://127.0.0.1:${notifierPort}`;

    const INTERNAL_TOKEN = randomBytes(24).toString("hex");
    this.internal_token = INTERNAL_TOKEN;
    const base = {
      HOST: "127.0.0.1",
      LOG_LEVEL: "info",
      REDIS_URL: this.redis_url,
      INTERNAL_TOKEN,
      PATH: process.env.PATH ?? "",
      NODE_ENV: "production",
      NODE_COMPILE_CACHE: join(CHECKOUT, ".vp/compile-cache"),
    };
    const storage = {
      STORAGE_TYPE: "s3",
      STORAGE_BUCKET: this.bucket,
      S3_ENDPOINT: options.servers.s3_endpoint,
      S3_REGION: "us-east-1",
      S3_FORCE_PATH_STYLE: "true",
      S3_ACCESS_KEY_ID: options.servers.s3_access_key_id,
      S3_SECRET_ACCESS_KEY: options.servers.s3_secret_access_key,
    };
    const { gateway_url, redis_url } = this;
    const doors = relayedDoors({ gateway_url, redis_url, s3_endpoint: options.servers.s3_endpoint });
    this.relays = doors.RELAYS;
    const TRAINERS_DIR = options.trainers_dir ?? join(CHECKOUT, "trainers");
    this.#environments.set("gateway", {
      ...base,
      ...storage,
      PORT: String(gatewayPort),
      DATABASE_URL: this.database_url,
      JWT_SECRET: randomBytes(24).toString("hex"),
      PUBLIC_URL: this.gateway_url,
      REGISTRATION: "open",
      TRAINERS_DIR,
      ENABLED_FRAMEWORKS: (options.frameworks ?? []).join(","),
    });
    this.#environments.set("notifier", { ...base, PORT: String(notifierPort), GATEWAY_URL: this.gateway_url });
    for (const [index, framework] of (options.frameworks ?? ["timm", "dataset"]).entries()) {
      this.#environments.set(`worker-${framework}`, {
        ...base,
        ...storage,
        FRAMEWORK: framework,
        // Whatever engine this machine has.
        TRAINING_EXECUTION_MODE: "subprocess",
        PORT: String(workerPorts[index]),
        GATEWAY_URL: this.gateway_url,
        SLOTS: String(options.slots ?? 1),
        WORK_DIR: join(this.folder, "work"),
        TRAINERS_DIR,
        TRAINER_ENVS_DIR: options.trainer_envs_dir ?? join(CHECKOUT, ".vp/envs"),
        ...(options.in_containers?.frameworks.includes(framework)
          ? {
              ...doors.worker,
              TRAINING_EXECUTION_MODE: "docker",
              DOCKER_AGENT_SOCKET: options.in_containers.agent_socket,
            }
          : {}),
      });
    }
  }

  /** Resolves when every service is ready. */
  static async start(options: PlatformOptions): Promise<Platform> {
    const database = await createDatabase(options.servers.database_url);
    const ports = await Promise.all(Array.from({ length: 2 + (options.frameworks?.length ?? 2) }, freePort));
    const platform = new Platform(options, database, ports);
    const s3 = createS3Client(platform.storageSettings());
    await s3.send(new CreateBucketCommand({ Bucket: platform.bucket }));
    s3.destroy();
    try {
      await platform.launch("gateway");
      await Promise.all(
        platform
          .names()
          .slice(1)
          .map((name) => platform.launch(name)),
      );
    } catch (error) {
      await platform.stop();
      throw error;
    }
    return platform;
  }

  /** How anybody reaches its storage. */
  storageSettings() {
    const { s3_endpoint, s3_access_key_id, s3_secret_access_key } = this.servers;
    return {
      STORAGE_TYPE: "s3" as const,
      STORAGE_BUCKET: this.bucket,
      S3_ENDPOINT: s3_endpoint,
      S3_REGION: "us-east-1",
      S3_FORCE_PATH_STYLE: true,
      S3_ACCESS_KEY_ID: s3_access_key_id,
      S3_SECRET_ACCESS_KEY: s3_secret_access_key,
    };
  }

  /** A client of the platform's storage, for a look at what really lies there. */
  s3() {
    return createS3Client(this.storageSettings());
  }

  names(): ServiceName[] {
    return [...this.#environments.keys()];
  }

  pid(name: ServiceName): number {
    const pid = this.#running.get(name)?.pid;
    if (pid === undefined) throw new Error(`${name} is not running`);
    return pid;
  }

  logPath(name: ServiceName): string {
    return join(this.folder, `${name}.log`);
  }

  log(name: ServiceName): string {
    return readFileSync(this.logPath(name), "utf8");
  }

  /** Starts a service that is not running and waits until it is ready. */
  async launch(name: ServiceName): Promise<void> {
    const env = this.#environments.get(name);
    if (!env) throw new Error(`there is no ${name}`);
    const folder = name.startsWith("worker-") ? "worker" : name;
    const child = spawn(process.execPath, [...SERVICE_NODE_OPTIONS, join(CHECKOUT, `services/${folder}/src/main.ts`)], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const log = createWriteStream(this.logPath(name), { flags: "a" });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#running.set(name, child);
    await this.#untilReady(name, `http://127.0.0.1:${env.PORT}/ready`, child);
  }

  async #untilReady(name: ServiceName, url: string, child: ChildProcess): Promise<void> {
    const limit = Date.now() + READY_LIMIT_MS;
    let last = "no answer";
    while (Date.now() < limit) {
      if (child.exitCode !== null)
        throw new Error(`${name} ended with ${child.exitCode}:\n${this.log(name).slice(-3000)}`);
      try {
        const response = await fetch(url, { signal: AbortSignal.timeout(4_000) });
        if (response.ok) return;
        last = await response.text();
      } catch (error) {
        last = String(error);
      }
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`${name} was not ready within ${READY_LIMIT_MS} ms: ${last}\n${this.log(name).slice(-3000)}`);
  }

  /** Sends a signal and waits until the process is gone. */
  async end(name: ServiceName, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#running.get(name);
    if (!child) return;
    this.#running.delete(name);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    child.kill("SIGCONT");
    await gone;
  }

  async stop(): Promise<void> {
    // Workers first: they end their trainers and tell the gateway.
    const workers = this.names().filter((name) => name.startsWith("worker-"));
    await Promise.all(workers.map((name) => this.end(name, "SIGTERM")));
    await Promise.all([this.end("notifier", "SIGTERM"), this.end("gateway", "SIGTERM")]);
    await this.#dropDatabase();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
