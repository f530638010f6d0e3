/** What `trainers/<framework>/trainer.json` says must be run for a kind of job. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { JobKind } from "@vision-platform/contracts/job-state";
import { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { LaunchError } from "./launcher.ts";

export interface TrainerFolders {
  FRAMEWORK: string;
  TRAINERS_DIR: string;
  TRAINER_ENVS_DIR: string;
}

/** Folder of the framework's programs: first in the trainer's PATH. */
export function environmentBin(folders: TrainerFolders): string {
  return join(folders.TRAINER_ENVS_DIR, folders.FRAMEWORK, "bin");
}

function readManifest(file: string): TrainerManifest {
  try {
    return TrainerManifest.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new LaunchError("LAUNCH_FAILED", `${file} is missing or wrong: ${String(cause).slice(0, 500)}`, cause);
  }
}

/** Reads the manifest once: it belongs to the installed version of the trainer. */
export function createTrainerCommands(folders: TrainerFolders): (kind: JobKind) => string[] {
  const folder = join(folders.TRAINERS_DIR, folders.FRAMEWORK);
  let manifest: TrainerManifest | undefined;
  /** The command as absolute paths. Throws LaunchError when the manifest or the environment is missing. */
  return (kind) => {
    manifest ??= readManifest(join(folder, "trainer.json"));
    const declared = manifest.kinds[kind]?.command;
    if (!declared)
      throw new LaunchError("BAD_CONFIG", `the trainer ${folders.FRAMEWORK} does not do jobs of kind ${kind}`);
    const [program = "", ...args] = declared;
    if (program !== "python") return [program.startsWith(".") ? resolve(folder, program) : program, ...args];
    const python = join(environmentBin(folders), "python");
    if (!existsSync(python)) {
      const message = `the Python environment of ${folders.FRAMEWORK} is not installed (${python} is missing); repair: ./vp up`;
      throw new LaunchError("ENVIRONMENT_MISSING", message);
    }
    return [python, ...args];
  };
}
