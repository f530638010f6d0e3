import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { cpuQuota, threadsPerTrainer } from "./cpu-share.ts";
import { LaunchError } from "./launcher.ts";
import { installedCommand } from "./trainer-command.ts";
import { createTrainerProgram } from "./trainer-program.ts";

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
  const folders = { FRAMEWORK: "tiny", TRAINERS_DIR: join(folder, "trainers"), TRAINER_ENVS_DIR: join(folder, "envs") };
  const program = createTrainerProgram({ ...folders, IMAGE_REGISTRY: "registry.example.org/team/", IMAGE_TAG: "1.2" });
  return { program, commandFor: (kind: "train" | "ingest") => installedCommand(folders, program.commandFor(kind)) };
}

it("takes python for the trainer's own", () => {
  const { commandFor } = commands(["python", "-m", "tiny"]);
  mkdirSync(join(folder, "envs/tiny/bin"), { recursive: true });
  writeFileSync(join(folder, "envs/tiny/bin/python"), "");
  expect(commandFor("train")).toEqual([join(folder, "envs/tiny/bin/python"), "-m", "tiny"]);
});

it("finds programs of the trainer's folder, and leaves others to PATH", () => {
  expect(commands(["./run", "x"]).commandFor("train")).toEqual([join(folder, "trainers/tiny/run"), "x"]);
  expect(commands(["julia", "x"]).commandFor("train")).toEqual(["julia", "x"]);
});

it("says which repair a missing environment needs", () => {
  const { commandFor } = commands(["python", "-m", "tiny"]);
  expect(() => commandFor("train")).toThrow(LaunchError);
  expect(() => commandFor("train")).toThrow(/environment of tiny is not installed.*\.\/vp up/);
});

it("refuses kinds that the trainer does not declare", () => {
  expect(() => commands(["julia"]).commandFor("ingest")).toThrow(/does not do jobs of kind ingest/);
});

it("says which manifest is missing", () => {
  const nowhere = { FRAMEWORK: "none", TRAINERS_DIR: folder, TRAINER_ENVS_DIR: folder };
  const program = createTrainerProgram({ ...nowhere, IMAGE_REGISTRY: "", IMAGE_TAG: "1" });
  expect(() => program.commandFor("train")).toThrow(/none\/trainer\.json is missing or wrong/);
});

it("names the image with the installation's registry and tag", () => {
  expect(commands(["julia"]).program.image()).toBe("registry.example.org/team/i:1.2");
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
