/** The command of trainer.json as this machine's programs, for a trainer that runs as a process. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { LaunchError } from "./launcher.ts";
import type { TrainerFolders } from "./trainer-program.ts";

/** Folder of the framework's programs: first in the trainer's PATH. */
export function environmentBin(folders: TrainerFolders): string {
  return join(folders.TRAINER_ENVS_DIR ?? "/", folders.FRAMEWORK, "bin");
}

/** `python` is the trainer's own, `./x` lies in its folder. Throws LaunchError when its environment is missing. */
export function installedCommand(folders: TrainerFolders, [program = "", ...args]: readonly string[]): string[] {
  if (program.startsWith(".")) return [resolve(folders.TRAINERS_DIR, folders.FRAMEWORK, program), ...args];
  if (program !== "python") return [program, ...args];
  if (folders.TRAINER_ENVS_DIR === undefined) {
    throw new LaunchError("ENVIRONMENT_MISSING", "TRAINER_ENVS_DIR is not set: there are no Python environments here");
  }
  const python = join(environmentBin(folders), "python");
  if (!existsSync(python)) {
    const message = `the Python environment of ${folders.FRAMEWORK} is not installed (${python} is missing); repair: ./vp up`;
    throw new LaunchError("ENVIRONMENT_MISSING", message);
  }
  return [python, ...args];
}
