/** The Helm chart installed on the cluster of a test run, over the Postgres, Redis and S3 of this machine. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { createS3Client, ensureBucket } from "@vision-platform/common/s3";
import { type Door, openDoor } from "../../services/worker/src/launchers/kubernetes/testing/doors.ts";
import { CHECKOUT, createDatabase, serversFromEnvironment } from "./platform.ts";

const run = promisify(execFile);
const RELEASE = "vp";
const CHART = join(CHECKOUT, "deploy/kubernetes/vision-platform");

function variable(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run by ./vp test --kubernetes`);
  return value;
}

/** The frameworks whose images the cluster has; `dataset` among them. */
export function clusterFrameworks(): string[] {
  return variable("TEST_KUBERNETES_FRAMEWORKS").split(",");
}

export async function kubectl(...args: string[]): Promise<string> {
  const { stdout } = await run(variable("TEST_KUBECTL"), args, { maxBuffer: 64 * 1_048_576 });
  return stdout;
}

export async function helm(...args: string[]): Promise<string> {
  const { stdout } = await run("helm", args, { maxBuffer: 64 * 1_048_576 });
  return stdout;
}

export interface ChartPlatform {
  gateway_url: string;
  namespace: string;
  trainers: string;
  folder: string;
  stop(): Promise<void>;
}

/** Services have no address of their own in every test cluster: this one finds a gateway's pod, again after it ended. */
function forwardGateway(namespace: string, host: string, port: number): { stop(): void } {
  let child: ChildProcess | undefined;
  let stopped = false;
  const again = () => {
    if (stopped) return;
    const target = `service/${RELEASE}-vision-platform-gateway`;
    const args = ["--namespace", namespace, "port-forward", "--address", host, target, `${port}:8080`];
    child = spawn(variable("TEST_KUBECTL"), args, { stdio: "ignore" });
    child.once("exit", () => setTimeout(again, 500));
  };
  again();
  return {
    stop() {
      stopped = true;
      child?.kill();
    },
  };
}

function freePort(host: string): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once("error", fail);
    server.listen(0, host, () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

interface Doors {
  database: Door;
  redis: Door;
  s3: Door;
}

async function makeSecrets(namespace: string, doors: Doors, s3: { id: string; secret: string }): Promise<void> {
  const secrets: Record<string, Record<string, string>> = {
    "vision-platform": {
      "jwt-secret": randomBytes(24).toString("hex"),
      "internal-token": randomBytes(24).toString("hex"),
    },
    "vision-platform-database": { url: doors.database.url },
    "vision-platform-redis": Object.fromEntries(
      ["gateway-url", "worker-url", "notifier-url"].map((key) => [key, doors.redis.url]),
    ),
    "vision-platform-storage": { "access-key-id": s3.id, "secret-access-key": s3.secret },
  };
  for (const [name, values] of Object.entries(secrets)) {
    const literals = Object.entries(values).map(([key, value]) => `--from-literal=${key}=${value}`);
    await kubectl("--namespace", namespace, "create", "secret", "generic", name, ...literals);
  }
}

function values(doors: Doors, bucket: string, gatewayUrl: string): object {
  const small = { requests: { cpu: "20m", memory: "96Mi" }, limits: { memory: "768Mi" } };
  const port = (url: string) => Number(new URL(url).port);
  return {
    storage: { bucket, endpoint: doors.s3.url },
    gateway: {
      replicas: 2,
      internalUrl: gatewayUrl,
      enabledFrameworks: ["ultralytics", "custom"],
      resources: small,
    },
    notifier: { replicas: 1, resources: small },
    worker: { resources: small },
    workers: clusterFrameworks().map((framework) => ({ framework, slots: 2 })),
    trainers: {
      graceS: 20,
      settings: { limits: { cpu: "2", memory: "4Gi" }, requests: { cpu: "100m", memory: "256Mi" } },
    },
    networkPolicy: {
      storage: { ports: [port(doors.s3.url), port(gatewayUrl)] },
      redis: { ports: [port(doors.redis.url)] },
    },
  };
}

/** Installs the chart and waits until all of it is ready. Stop it in `afterAll`. */
export async function installChart(): Promise<ChartPlatform> {
  const host = variable("TEST_KUBERNETES_HOST");
  const servers = serversFromEnvironment();
  const namespace = `vp-chart-${randomBytes(3).toString("hex")}`;
  const folder = mkdtempSync(join(tmpdir(), "vp-chart-"));
  const database = await createDatabase(servers.database_url);
  const redis = new URL(servers.redis_url);
  redis.pathname = "/11";
  const doors: Doors = {
    database: await openDoor(host, database.url),
    redis: await openDoor(host, redis.toString()),
    s3: await openDoor(host, servers.s3_endpoint),
  };
  const bucket = `chart-${randomBytes(5).toString("hex")}`;
  const client = createS3Client({
    ...{ STORAGE_TYPE: "s3", STORAGE_BUCKET: bucket, S3_ENDPOINT: servers.s3_endpoint, S3_REGION: "us-east-1" },
    ...{ S3_FORCE_PATH_STYLE: true, S3_ACCESS_KEY_ID: servers.s3_access_key_id },
    S3_SECRET_ACCESS_KEY: servers.s3_secret_access_key,
  });
  await ensureBucket(client, bucket);
  client.destroy();
  await kubectl("create", "namespace", namespace);
  await makeSecrets(namespace, doors, { id: servers.s3_access_key_id, secret: servers.s3_secret_access_key });
  const gateway_url = `http://${host}:${await freePort(host)}`;
  const forward = forwardGateway(namespace, host, Number(new URL(gateway_url).port));
  const file = join(folder, "values.json");
  writeFileSync(file, JSON.stringify(values(doors, bucket, gateway_url)));
  async function stop(): Promise<void> {
    await helm("uninstall", RELEASE, "--namespace", namespace, "--ignore-not-found", "--wait").catch(() => undefined);
    forward.stop();
    await kubectl("delete", "namespace", namespace, `${namespace}-trainers`, "--ignore-not-found");
    for (const door of Object.values(doors)) await (door as Door).close();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  }
  try {
    const install = ["upgrade", "--install", RELEASE, CHART, "--namespace", namespace, "--values", file];
    await helm(...install, "--wait", "--timeout", "5m");
    for (let tries = 0; !(await answers(gateway_url)); tries += 1) {
      if (tries > 60) throw new Error(`the gateway is not reached at ${gateway_url}`);
      await sleep(500);
    }
  } catch (error) {
    const pods = await kubectl("--namespace", namespace, "describe", "pods").catch(String);
    await stop();
    throw new Error(`the chart was not installed: ${String(error)}\n${pods.slice(-6_000)}`);
  }
  return { gateway_url, namespace, trainers: `${namespace}-trainers`, folder, stop };
}

async function answers(url: string): Promise<boolean> {
  return await fetch(`${url}/ready`, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  );
}
