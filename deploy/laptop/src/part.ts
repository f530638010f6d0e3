import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";

/** One process of the laptop platform: a server that is embedded, or a service of ours. */
export type Part = {
  name: string;
  command: string;
  args: string[];
  /** The complete environment: nothing is inherited. */
  env: Record<string, string>;
  cwd: string;
  /** What asks it to end cleanly. */
  stopSignal: "SIGTERM" | "SIGINT";
  /** Null when it is ready to serve, else what it is waiting for. */
  ready: () => Promise<string | null>;
  /** Where people or programs reach it; without secrets. */
  address: string;
};

const LAUNCH = resolve(import.meta.dirname, "../launch.sh");

/** The file that tells who runs (or ran) as this part. */
export function recordPath(runDir: string, name: string): string {
  return join(runDir, `${name}.json`);
}

/**
 * Starts a part in its own session and process group, with its output appended to `<logDir>/<name>.log`.
 * The part writes its own record into `runDir` before it runs (see launch.sh).
 */
export function launchPart(
  part: Pick<Part, "name" | "command" | "args" | "env" | "cwd">,
  dirs: { run: string; logs: string },
): ChildProcess {
  const log = openSync(join(dirs.logs, `${part.name}.log`), "a", 0o600);
  try {
    return spawn("/bin/sh", [LAUNCH, recordPath(dirs.run, part.name), part.name, part.command, ...part.args], {
      cwd: part.cwd,
      env: part.env,
      detached: true,
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
}

/** Keeps the log of the run before as `<name>.log.1`, so that a new run begins with an empty file. */
export function rotateLog(logDir: string, name: string): void {
  const log = join(logDir, `${name}.log`);
  if (existsSync(log)) renameSync(log, `${log}.1`);
}
