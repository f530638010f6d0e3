/** Trainers as processes of this machine, each in a session of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { MARKER_VARIABLE } from "./environment.ts";
import type { Exit, Housed, HousedCommand, Housing, ReadableEnvironment } from "./housing.ts";
import { cpuSeconds, environmentOf, processesWith, sessionProcesses } from "./processes.ts";

export function processHousing(): Housing {
  return { address: "127.0.0.1", start, close: () => undefined };
}

function start({ command, env, sandbox }: HousedCommand): Housed {
  const [file = "", ...args] = sandbox.enclose(command);
  const [out, err] = [openSync(sandbox.stdout, "w", 0o600), openSync(sandbox.stderr, "w", 0o600)];
  const child = spawn(file, args, { cwd: sandbox.path, env, detached: true, stdio: ["ignore", out, err] });
  closeSync(out);
  closeSync(err);
  const pid = child.pid ?? -1;
  const exit = exitOf(child);
  let over = false;
  exit.finally(() => {
    over = true;
  });
  const processes = () => {
    const marked = processesWith(`${MARKER_VARIABLE}=${env[MARKER_VARIABLE]}`);
    return [...new Set([...sessionProcesses(pid), ...marked])];
  };
  return {
    exit,
    signal(name) {
      if (!over) child.kill(name);
    },
    cpuSeconds: () => cpuSeconds(pid),
    environments: () => sessionProcesses(pid).flatMap((each) => readable(each, pid)),
    processes,
    end() {
      for (const each of processes()) kill(each);
    },
  };
}

export function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise((done) => {
    child.once("exit", (code, signal) => done({ code, signal }));
    child.once("error", () => done({ code: 127, signal: null }));
  });
}

function readable(pid: number, main: number): ReadableEnvironment[] {
  const block = environmentOf(pid);
  return block === null ? [] : [{ process: String(pid), main: pid === main, block }];
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Ended between the look and the signal.
  }
}
