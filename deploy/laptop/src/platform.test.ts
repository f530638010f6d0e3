import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadSettings } from "./config.ts";
import { down } from "./down.ts";
import { livingProcesses } from "./end-platform.ts";
import { vpPaths } from "./paths.ts";
import { planPlatform } from "./platform.ts";
import { createCluster } from "./postgres.ts";
import { isAlive, type ProcessRecord, startTime } from "./process-identity.ts";
import { ensureSecrets } from "./secrets.ts";
import { readState } from "./state.ts";
import { platformStatus } from "./status.ts";
import { runningState, startSupervisor } from "./up.ts";

const dir = mkdtempSync(join(tmpdir(), "vp-platform-"));
chmodSync(dir, 0o711);
const paths = vpPaths(dir);

afterAll(async () => {
  await down(paths);
  rmSync(dir, { recursive: true, force: true });
});

async function untilReady(): Promise<ProcessRecord> {
  await expect
    .poll(() => runningState(paths)?.processes.filter((part) => part.waiting_for !== null), { timeout: 60_000 })
    .toEqual([]);
  return runningState(paths)?.supervisor as ProcessRecord;
}

/** Whatever engine this machine has. */
const HERE = { TRAINING_EXECUTION_MODE: "subprocess" };

test("a killed service comes back; a killed supervisor leaves nothing that down does not end", {
  timeout: 120_000,
}, async () => {
  mkdirSync(paths.run, { recursive: true });
  await createCluster(paths.postgres, ensureSecrets(paths.secrets).postgres_password, false);
  await planPlatform(loadSettings(HERE), paths);
  startSupervisor(paths);
  await untilReady();
  const names = livingProcesses(paths).map((record) => record.name);
  expect(names).toEqual(expect.arrayContaining(["postgres", "redis", "s3", "gateway", "notifier"]));

  const notifier = livingProcesses(paths).find((record) => record.name === "notifier") as ProcessRecord;
  process.kill(notifier.pid, "SIGKILL");
  await expect.poll(() => readState(paths.state)?.processes.find((part) => part.name === "notifier")?.restarts).toBe(1);
  const supervisor = await untilReady();

  const before = livingProcesses(paths);
  expect(before.map((record) => record.name).sort()).toEqual(names.sort());
  process.kill(supervisor.pid, "SIGKILL");
  await expect.poll(() => startTime(supervisor.pid)).toBeNull();
  expect(platformStatus(paths)).toMatchObject({ running: true, supervised: false });

  const report = await down(paths);
  expect(report.left).toEqual([]);
  expect(report.ended.sort()).toEqual(names.sort());
  expect(before.filter(isAlive)).toEqual([]);
  expect(await down(paths)).toMatchObject({ ended: [], killed: [] });
});

test("what is given is used, and nothing is started in its place", async () => {
  const given = {
    DATABASE_URL: "postgres://me:pw@db.example:5432/vision",
    REDIS_URL: "redis://:pw@redis.example:6379",
    S3_ENDPOINT: "https://s3.example",
    S3_ACCESS_KEY_ID: "key",
    S3_SECRET_ACCESS_KEY: "secret",
    STORAGE_BUCKET: "images",
  };
  const platform = await planPlatform(loadSettings({ ...HERE, ...given }), paths);
  expect(platform.backing).toEqual([]);
  const gateway = platform.services.find((part) => part.name === "gateway");
  expect(gateway?.env).toMatchObject(given);
  const { DATABASE_URL: _, ...others } = given;
  const worker = platform.services.find((part) => part.name.startsWith("worker-"));
  expect(worker?.env).toMatchObject(others);
  // Workers have no database credentials, and children get nothing of the person's environment but what is listed.
  expect(worker?.env).not.toHaveProperty("DATABASE_URL");
  expect(Object.keys(worker?.env ?? {})).not.toContain("JWT_SECRET");
});

test("a framework that is off gets a worker when it is asked for, and the gateway is told", async () => {
  const names = async (settings: Record<string, string>) =>
    (await planPlatform(loadSettings({ ...HERE, ...settings }), paths)).services.map((part) => part.name);
  expect(await names({})).not.toContain("worker-stub");
  expect(await names({ ENABLED_FRAMEWORKS: "stub" })).toContain("worker-stub");
  const { services } = await planPlatform(loadSettings({ ...HERE, ENABLED_FRAMEWORKS: "stub" }), paths);
  expect(services.find((part) => part.name === "gateway")?.env).toMatchObject({ ENABLED_FRAMEWORKS: "stub" });
  await expect(names({ ENABLED_FRAMEWORKS: "yolo" })).rejects.toThrow("there is no framework yolo");
});
