/** A launcher for tests whose trainers outlive their worker: processes that nobody is the parent of, in a folder of their own. */
import { spawn } from "node:child_process";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AttemptIds, Exit, Launcher, LaunchSpec, Trainer, TrainerIdentity } from "../launchers/launcher.ts";
import { LaunchError } from "../launchers/launcher.ts";
import { MARKER_VARIABLE, markedProcesses } from "../launchers/marked-processes.ts";
import { startTime } from "../launchers/process-identity.ts";
import type { AttemptDirectory } from "../supervision/attempt-directory.ts";
import { attemptName } from "../supervision/attempt-directory.ts";

const POLL_MS = 20;
/** Waits for the trainer as its parent, and writes down how it ended, as a container's engine does. */
const RUNNER = `"$@" >>log 2>&1 & echo $! >pid; wait $!; echo $? >exit.new; mv exit.new exit`;

interface Note extends AttemptIds {
  identity: TrainerIdentity;
}

/** `folder` plays the engine: what is in it is there for every launcher made with it. */
export function createDetachedLauncher(folder: string): Launcher {
  mkdirSync(folder, { recursive: true });
  const placeOf = (ids: AttemptIds) => join(folder, attemptName(ids));

  function read(place: string): Note | null {
    const file = join(place, "note.json");
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Note) : null;
  }

  function pidOf(ids: AttemptIds): number | null {
    const file = join(placeOf(ids), "pid");
    return existsSync(file) ? Number(readFileSync(file, "utf8")) : null;
  }

  /** One file under two names: whoever has one of them reads all that was ever written. */
  function showLog(ids: AttemptIds, directory: AttemptDirectory): void {
    rmSync(directory.log, { force: true });
    linkSync(join(placeOf(ids), "log"), directory.log);
  }

  function refuseUnwanted({ signal }: LaunchSpec): void {
    if (signal.aborted) throw new LaunchError("LAUNCH_FAILED", "nobody wants this trainer any more");
  }

  async function start(spec: LaunchSpec, place: string): Promise<void> {
    const env = { ...spec.env, [MARKER_VARIABLE]: spec.marker };
    writeFileSync(join(place, "log"), "");
    const options = { cwd: place, env, detached: true, stdio: "ignore" } as const;
    spawn("/bin/sh", ["-c", RUNNER, "sh", ...spec.command], options).unref();
    while (pidOf(spec) === null) await sleep(POLL_MS);
  }

  return {
    name: "docker",
    outlivesWorker: true,
    surroundings: () => ({ PATH: "/usr/bin:/bin" }),
    async find() {
      const notes = readdirSync(folder).map((name) => read(join(folder, name)));
      return notes.filter((note) => note !== null);
    },
    async launch(spec) {
      refuseUnwanted(spec);
      const ids = { job_id: spec.job_id, attempt: spec.attempt };
      const place = placeOf(ids);
      const [program = ""] = spec.command;
      if (!existsSync(program)) throw new LaunchError("LAUNCH_FAILED", `${program} is not there`);
      const known = read(place);
      if (!known) {
        mkdirSync(place, { recursive: true });
        await start(spec, place);
        const note = { ...ids, identity: { marker: spec.marker, handle: `detached-${spec.marker}` } };
        writeFileSync(join(place, "note.new"), JSON.stringify(note));
        renameSync(join(place, "note.new"), join(place, "note.json"));
      }
      showLog(ids, spec.directory);
      const identity = known?.identity ?? { marker: spec.marker, handle: `detached-${spec.marker}` };
      return { ids, identity } satisfies Trainer;
    },
    async adopt({ job_id, attempt }, { marker }, directory) {
      const known = read(placeOf({ job_id, attempt }));
      if (!known || known.identity.marker !== marker) return null;
      showLog(known, directory);
      return { ids: { job_id, attempt }, identity: known.identity };
    },
    async stop({ ids, identity }, signal) {
      const pid = pidOf(ids);
      if (signal === "SIGTERM") {
        if (pid !== null && startTime(pid) !== null) process.kill(pid, "SIGTERM");
        return;
      }
      for (const each of await markedProcesses(identity.marker)) {
        // The runner stays: it has to say how the trainer ended.
        if (!readFileSync(`/proc/${each}/cmdline`, "latin1").startsWith("/bin/sh")) process.kill(each, "SIGKILL");
      }
      while (existsSync(placeOf(ids)) && !existsSync(join(placeOf(ids), "exit"))) await sleep(POLL_MS);
    },
    async wait({ ids }): Promise<Exit> {
      const file = join(placeOf(ids), "exit");
      while (!existsSync(file)) {
        if (!existsSync(placeOf(ids))) return { code: null, signal: null, taken: { by: "removed", message: "gone" } };
        await sleep(POLL_MS);
      }
      const code = Number(readFileSync(file, "utf8"));
      return { code, signal: null };
    },
    async remove({ ids }) {
      rmSync(placeOf(ids), { recursive: true, force: true });
    },
  };
}
