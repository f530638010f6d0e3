import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { cpuQuota, threadsPerTrainer } from "./cpu-share.ts";
import { LaunchError } from "./launcher.ts";
import { createTrainerCommands } from "./trainer-command.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vp-command-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function commands(command: string[]) {
  const manifest = {
    ...{ contract_version: 1, framework: "tiny", title: "t", license: "l", image: "i", enabled: true },
    ...{ kinds: { train: { command } }, tasks: {}, hyperparameters: {}, models: [] },
  };
  mkdirSync(join(folder, "trainers/tiny"), { recursive: true });
  writeFileSync(join(folder, "trainers/tiny/trainer.json"), JSON.stringify(manifest));
  return createTrainerCommands({
    FRAMEWORK: "tiny",
    TRAINERS_DIR: join(folder, "trainers"),
    TRAINER_ENVS_DIR: join(folder, "envs"),
  });
}

it("takes python for the trainer's own", () => {
  const commandFor = commands(["python", "-m", "tiny"]);
  mkdirSync(join(folder, "envs/tiny/bin"), { recursive: true });
  writeFileSync(join(folder, "envs/tiny/bin/python"), "");
  expect(commandFor("train")).toEqual([join(folder, "envs/tiny/bin/python"), "-m", "tiny"]);
});

it("finds programs of the trainer's folder, and leaves others to PATH", () => {
  expect(commands(["./run", "x"])("train")).toEqual([join(folder, "trainers/tiny/run"), "x"]);
  expect(commands(["julia", "x"])("train")).toEqual(["julia", "x"]);
});

it("says which repair a missing environment needs", () => {
  const commandFor = commands(["python", "-m", "tiny"]);
  expect(() => commandFor("train")).toThrow(LaunchError);
  expect(() => commandFor("train")).toThrow(/environment of tiny is not installed.*\.\/vp up/);
});

it("refuses kinds that the trainer does not declare", () => {
  expect(() => commands(["julia"])("ingest")).toThrow(/does not do jobs of kind ingest/);
});

it("says which manifest is missing", () => {
  const commandFor = createTrainerCommands({ FRAMEWORK: "none", TRAINERS_DIR: folder, TRAINER_ENVS_DIR: folder });
  expect(() => commandFor("train")).toThrow(/none\/trainer\.json is missing or wrong/);
});

it("shares the processor's quota between the slots", () => {
  mkdirSync(join(folder, "cpu"));
  expect(threadsPerTrainer(3, 8)).toBe(2);
  expect(threadsPerTrainer(8, 2)).toBe(1);
  const all = cpuQuota(folder);
  writeFileSync(join(folder, "cpu/cpu.cfs_quota_us"), "-1");
  writeFileSync(join(folder, "cpu/cpu.cfs_period_us"), "100000");
  expect(cpuQuota(folder)).toBe(all);
  writeFileSync(join(folder, "cpu.max"), "150000 100000");
  expect(cpuQuota(folder)).toBe(1);
});
