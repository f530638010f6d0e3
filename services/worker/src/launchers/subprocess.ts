/** Trainers as processes of this machine, each in its own session and process group. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheFolder } from "../supervision/attempt-directory.ts";
import { type AttemptIds, type Exit, LaunchError, type Launcher, type LaunchSpec, type Trainer } from "./launcher.ts";
import { MARKER_VARIABLE, markedProcesses } from "./marked-processes.ts";
import { isAlive, type ProcessIdentity, processHandle, readHandle, startTime } from "./process-identity.ts";
import { environmentBin, installedCommand } from "./trainer-command.ts";
import type { TrainerFolders } from "./trainer-program.ts";

const ADOPTED_POLL_MS = 100;
const KILL_LIMIT_MS = 5_000;
const PRLIMIT = "/usr/bin/prlimit";

interface Subprocess extends Trainer {
  readonly process: ProcessIdentity;
  readonly exit: Promise<Exit>;
  /** Our own child: until we saw it end, nobody else can have got its number. */
  readonly own: boolean;
}

/** prlimit replaces itself by the trainer, so pid and signals stay the trainer's own. */
function limited(command: readonly string[], { memoryBytes }: LaunchSpec): readonly string[] {
  if (memoryBytes === undefined || !existsSync(PRLIMIT)) return command;
  return [PRLIMIT, `--data=${memoryBytes}`, "--core=0", "--", ...command];
}

function start(spec: LaunchSpec, command: readonly string[]): ChildProcess {
  const [file = "", ...args] = limited(command, spec);
  // The trainer writes into the file itself: when this worker dies, no line is lost and no pipe breaks.
  const log = openSync(spec.directory.log, "a", 0o600);
  try {
    const env = { ...spec.env, [MARKER_VARIABLE]: spec.marker };
    return spawn(file, args, { cwd: spec.directory.path, env, detached: true, stdio: ["ignore", log, log] });
  } catch (error) {
    throw new LaunchError("LAUNCH_FAILED", `${command[0]} cannot be started: ${String(error)}`, error);
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

async function exitOfStranger(identity: ProcessIdentity): Promise<Exit> {
  while (isAlive(identity)) await sleep(ADOPTED_POLL_MS);
  return { code: null, signal: null };
}

/** Kills the whole group and everything that carries the marker, again and again until nothing is left. */
async function killAll({ process: leader, identity, own }: Subprocess): Promise<void> {
  const deadline = Date.now() + KILL_LIMIT_MS;
  for (;;) {
    const lives = isAlive(leader);
    // While the leader lives, its number is the group's. Afterwards marked processes are the safer way, where there is one.
    if (lives || (own && process.platform !== "linux")) signal(-leader.pid, "SIGKILL");
    const left = await markedProcesses(identity.marker);
    for (const each of left) signal(each, "SIGKILL");
    if ((!lives && left.length === 0) || Date.now() > deadline) return;
    await sleep(10);
  }
}

/** A process that is no child of this worker: how it ends nobody can know. */
function stranger(ids: AttemptIds, marker: string, leader: ProcessIdentity): Subprocess {
  const identity = { marker, handle: processHandle(leader) };
  return { ids, identity, process: leader, exit: exitOfStranger(leader), own: false };
}

/** A launcher that starts trainers directly: for laptops, and where the whole worker is one container. */
export function createSubprocessLauncher(config: TrainerFolders & { WORK_DIR: string }): Launcher {
  return {
    name: "subprocess",
    outlivesWorker: false,
    surroundings: (directory) => ({
      PATH: [environmentBin(config), "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
      LANG: "C.UTF-8",
      HOME: directory.home,
      TMPDIR: directory.tmp,
      CACHE_DIR: cacheFolder(config.WORK_DIR),
      STOP_REASON_FILE: directory.stopReasonFile,
      PYTHONUNBUFFERED: "1",
    }),
    find: async () => [],
    async launch(spec) {
      const command = installedCommand(config, spec.command);
      return await new Promise((resolve, reject) => {
        const child = start(spec, command);
        child.once("error", (error) => {
          reject(new LaunchError("LAUNCH_FAILED", `${command[0]} cannot be started: ${error.message}`, error));
        });
        const { pid } = child;
        if (pid === undefined) return;
        const exit = new Promise<Exit>((ended) => {
          child.once("exit", (code, name) => ended({ code, signal: name }));
        });
        // Read before anything is awaited: the child cannot be reaped, so its pid is still its own.
        const leader = { pid, start_time: startTime(pid) ?? "" };
        standBack(pid, spec.nice);
        const ids = { job_id: spec.job_id, attempt: spec.attempt };
        const identity = { marker: spec.marker, handle: processHandle(leader) };
        resolve({ ids, identity, process: leader, exit, own: true } as Subprocess);
      });
    },
    async adopt(ids, { marker, handle }) {
      const recorded = readHandle(handle);
      if (recorded && isAlive(recorded)) return stranger(ids, marker, recorded);
      // The worker died between spawn and record, or only children of the trainer are left.
      const [pid] = (await markedProcesses(marker)).sort((one, other) => one - other);
      const start_time = pid === undefined ? null : startTime(pid);
      return pid === undefined || start_time === null ? null : stranger(ids, marker, { pid, start_time });
    },
    async stop(trainer, name) {
      const subprocess = trainer as Subprocess;
      if (name === "SIGKILL") return await killAll(subprocess);
      if (isAlive(subprocess.process)) signal(subprocess.process.pid, "SIGTERM");
    },
    wait: (trainer) => (trainer as Subprocess).exit,
    // Its folder goes with the attempt; a process leaves nothing else.
    remove: async () => undefined,
  };
}
