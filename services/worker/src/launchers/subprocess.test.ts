import { existsSync, readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { removeLaunchFolders, scriptedLaunch } from "../testing/launch-spec.ts";
import { launcherConformance } from "../testing/launcher-conformance.ts";
import type { ScriptStep } from "../testing/script.ts";
import type { LaunchSpec } from "./launcher.ts";
import { MARKER_VARIABLE } from "./marked-processes.ts";
import { readHandle, startTime } from "./process-identity.ts";
import { createSubprocessLauncher } from "./subprocess.ts";

const folders = { FRAMEWORK: "scripted", TRAINERS_DIR: "/trainers", TRAINER_ENVS_DIR: "/envs", WORK_DIR: "/work" };
const create = () => createSubprocessLauncher(folders);

afterAll(removeLaunchFolders);
launcherConformance("subprocess", { create });

async function launch(script: ScriptStep[], changes: Partial<LaunchSpec> = {}) {
  const launcher = create();
  const spec = scriptedLaunch(script, launcher.surroundings, changes);
  return { launcher, spec, trainer: await launcher.launch(spec) };
}

it("adds nothing to the environment but the marker", async () => {
  const { launcher, spec, trainer } = await launch([{ do: "print_environment" }]);
  await launcher.wait(trainer);
  const seen = JSON.parse(readFileSync(spec.directory.log, "utf8"));
  expect(seen).toEqual({ ...spec.env, [MARKER_VARIABLE]: spec.marker });
});

it("ends processes that left the trainer's group, also after the trainer itself", async () => {
  const { launcher, spec, trainer } = await launch([
    { do: "leave_group", file: "escaped" },
    { do: "leave_group", file: "escaped" },
    { do: "exit", code: 0 },
  ]);
  await launcher.wait(trainer);
  const escaped = readFileSync(join(spec.directory.path, "escaped"), "utf8").trim().split("\n").map(Number);
  expect(escaped.map((pid) => startTime(pid) !== null)).toEqual([true, true]);
  await launcher.stop(trainer, "SIGKILL");
  expect(escaped.map(startTime)).toEqual([null, null]);
});

it("stands back for other processes", async () => {
  const { launcher, trainer } = await launch([{ do: "sleep", ms: 600_000 }], { nice: 7 });
  expect(getPriority(readHandle(trainer.identity.handle)?.pid ?? 0)).toBeGreaterThanOrEqual(7);
  await launcher.stop(trainer, "SIGKILL");
});

it.runIf(existsSync("/usr/bin/prlimit"))("does not let a trainer take more memory than it may", async () => {
  const script = [
    { do: "allocate" as const, mebibytes: 3_000 },
    { do: "exit" as const, code: 0 },
  ];
  const { launcher, trainer } = await launch(script, { memoryBytes: 2_000 * 1_048_576 });
  const exit = await launcher.wait(trainer);
  expect(exit).not.toEqual({ code: 0, signal: null });
});
