import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { endProcesses, forgetEnded, readRecords } from "./ending.ts";
import { launchPart, type Part, recordPath } from "./part.ts";
import { isAlive, ownRecord, startTime } from "./process-identity.ts";

const part = (name: string, script: string): Part => ({
  name,
  command: process.execPath,
  args: ["-e", script],
  env: {},
  cwd: "/",
  stopSignal: "SIGTERM",
  ready: async () => null,
  address: "",
});

const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), "vp-run-"));
  return { run: dir, logs: dir };
};

/** Waits for the record that launch.sh writes, and for the program's first output. */
async function untilRunning(dirs: { run: string; logs: string }, name: string) {
  for (;;) {
    const [found] = readRecords(dirs.run).filter(({ record }) => record.name === name);
    if (found && readFileSync(join(dirs.logs, `${name}.log`), "utf8").includes("up")) return found.record;
    await new Promise((done) => setTimeout(done, 10));
  }
}

test("a process is known by pid and start time together", () => {
  const own = ownRecord("me");
  expect(isAlive(own)).toBe(true);
  expect(isAlive({ ...own, start_time: "1" })).toBe(false);
  expect(startTime(2 ** 22 + 1)).toBeNull();
});

test("launch.sh records the identity that the process keeps", async () => {
  const dirs = folder();
  const child = launchPart(part("sleeper", "console.log('up'); setInterval(() => {}, 1000)"), dirs);
  const record = await untilRunning(dirs, "sleeper");
  expect(record.pid).toBe(child.pid);
  expect(record.start_time).toBe(startTime(record.pid));
  expect(await endProcesses([record], "SIGTERM", 5_000)).toEqual([]);
  expect(isAlive(record)).toBe(false);
  forgetEnded(dirs.run);
  expect(readRecords(dirs.run)).toEqual([]);
});

test("a process that ignores the signal is killed with its whole group, and named", async () => {
  const dirs = folder();
  const script =
    "process.on('SIGTERM', () => {}); const c = require('child_process').spawn('/bin/sleep', ['60']); " +
    "console.log('up ' + c.pid + ' '); setInterval(() => {}, 1000)";
  const child = launchPart(part("stubborn", script), dirs);
  const ended = once(child, "exit");
  const record = await untilRunning(dirs, "stubborn");
  const grandchild = Number(/up (\d+) /.exec(readFileSync(join(dirs.logs, "stubborn.log"), "utf8"))?.[1]);
  expect(await endProcesses([record], "SIGTERM", 200)).toEqual(["stubborn"]);
  await ended;
  await expect.poll(() => startTime(grandchild)).toBeNull();
});

test("a process that only has the same pid is left alone", async () => {
  const stranger = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  await once(stranger, "spawn");
  expect(await endProcesses([{ name: "x", pid: stranger.pid ?? 0, start_time: "1" }], "SIGTERM", 200)).toEqual([]);
  expect(startTime(stranger.pid ?? 0)).not.toBeNull();
  stranger.kill("SIGKILL");
});

test("the record names its file", () => {
  expect(recordPath("/run", "gateway")).toBe("/run/gateway.json");
});
