/** Trainers as processes of this machine, each in its own session and process group. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Exit,
  LaunchError,
  type Launcher,
  type LaunchSpec,
  type Trainer,
  type TrainerIdentity,
} from "./launcher.ts";
import { MARKER_VARIABLE, markedProcesses } from "./marked-processes.ts";
import { isAlive, startTime } from "./process-identity.ts";

const ADOPTED_POLL_MS = 100;
const KILL_LIMIT_MS = 5_000;
const PRLIMIT = "/usr/bin/prlimit";

interface Subprocess extends Trainer {
  readonly exit: Promise<Exit>;
  /** Our own child: until we saw it end, nobody else can have got its number. */
  readonly own: boolean;
}

/** prlimit replaces itself by the trainer, so pid and signals stay the trainer's own. */
function limited(spec: LaunchSpec): readonly string[] {
  if (spec.memoryBytes === undefined || !existsSync(PRLIMIT)) return spec.command;
  return [PRLIMIT, `--data=${spec.memoryBytes}`, "--core=0", "--", ...spec.command];
}

function start(spec: LaunchSpec): ChildProcess {
  const [file = "", ...args] = limited(spec);
  // The trainer writes into the file itself: when this worker dies, no line is lost and no pipe breaks.
  const log = openSync(spec.logFile, "a", 0o600);
  try {
    const env = { ...spec.env, [MARKER_VARIABLE]: spec.marker };
    return spawn(file, args, { cwd: spec.directory, env, detached: true, stdio: ["ignore", log, log] });
  } catch (error) {
    throw new LaunchError("LAUNCH_FAILED", `${spec.command[0]} cannot be started: ${String(error)}`, error);
  } finally {
    closeSync(log);
  }
}

function standBack(pid: number, nice: number): void {
  try {
    setPriority(pid, nice);
  } catch {
    // Ended already, or not allowed here: the trainer runs all the same.
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}

async function exitOfStranger(identity: { pid: number; start_time: string }): Promise<Exit> {
  while (isAlive(identity)) await sleep(ADOPTED_POLL_MS);
  return { code: null, signal: null };
}

/** Kills the whole group and everything that carries the marker, again and again until nothing is left. */
async function killAll(trainer: Subprocess): Promise<void> {
  const { pid, start_time, marker } = trainer.identity;
  const deadline = Date.now() + KILL_LIMIT_MS;
  for (;;) {
    const leader = pid !== null && start_time !== null && isAlive({ pid, start_time });
    // While the leader lives, its number is the group's. Afterwards marked processes are the safer way, where there is one.
    if (pid !== null && (leader || (trainer.own && process.platform !== "linux"))) signal(-pid, "SIGKILL");
    const left = await markedProcesses(marker);
    for (const each of left) signal(each, "SIGKILL");
    if ((!leader && left.length === 0) || Date.now() > deadline) return;
    await sleep(10);
  }
}

/** A launcher that starts trainers directly: for laptops, and where the whole worker is one container. */
export function createSubprocessLauncher(): Launcher {
  return {
    launch(spec) {
      return new Promise((resolve, reject) => {
        const child = start(spec);
        child.once("error", (error) => {
          reject(new LaunchError("LAUNCH_FAILED", `${spec.command[0]} cannot be started: ${error.message}`, error));
        });
        const { pid } = child;
        if (pid === undefined) return;
        const exit = new Promise<Exit>((ended) => {
          child.once("exit", (code, name) => ended({ code, signal: name }));
        });
        // Read before anything is awaited: the child cannot be reaped, so its pid is still its own.
        const identity = { marker: spec.marker, pid, start_time: startTime(pid) };
        standBack(pid, spec.nice);
        resolve({ identity, exit, own: true } as Subprocess);
      });
    },
    async adopt(identity: TrainerIdentity) {
      const { marker, pid, start_time } = identity;
      if (pid !== null && start_time !== null && isAlive({ pid, start_time })) {
        return { identity, exit: exitOfStranger({ pid, start_time }), own: false } as Subprocess;
      }
      // The worker died between spawn and record, or only children of the trainer are left.
      const [found] = (await markedProcesses(marker)).sort((one, other) => one - other);
      const started = found === undefined ? null : startTime(found);
      if (found === undefined || started === null) return null;
      const seen = { marker, pid: found, start_time: started };
      return { identity: seen, exit: exitOfStranger(seen), own: false } as Subprocess;
    },
    async stop(trainer, name) {
      if (name === "SIGKILL") return killAll(trainer as Subprocess);
      const { pid, start_time } = trainer.identity;
      if (pid !== null && start_time !== null && isAlive({ pid, start_time })) signal(pid, "SIGTERM");
    },
    wait(trainer) {
      return (trainer as Subprocess).exit;
    },
  };
}
