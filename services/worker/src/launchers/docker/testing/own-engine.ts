/** A Docker engine of a test's own, beside the machine's: one that may be stopped and started again. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../../testing/platform.ts";
import { connectEngine } from "../agent/engine.ts";

const START_LIMIT_MS = 60_000;
const DOCKERD = "/usr/sbin/dockerd";
const UNSHARE = "/usr/bin/unshare";

export interface OwnEngine {
  socket: string;
  /** Resolves when the engine has ended. */
  stop(): Promise<void>;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** Copies an image of the machine's engine. */
  load(image: string): Promise<void>;
  /** Takes everything of it away. */
  remove(): Promise<void>;
}

/** Whether this machine lets a test have one: it has the programs, and we are root. */
export function mayHaveEngine(): boolean {
  return existsSync(DOCKERD) && existsSync(UNSHARE) && process.getuid?.() === 0;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Not started yet. */
export function ownEngine(): OwnEngine {
  const folder = mkdtempSync(join(tmpdir(), "vp-engine-"));
  const socket = join(folder, "engine.sock");
  let daemon: ChildProcess | undefined;

  return {
    socket,
    async start() {
      const log = openSync(join(folder, "log"), "a");
      const roots = ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")];
      const args = ["--host", `unix://${socket}`, "--pidfile", join(folder, "pid"), ...roots];
      // In a network namespace of its own: bridges and packet filters of the machine's engine must stay as they are.
      daemon = spawn(UNSHARE, ["--net", "--", DOCKERD, ...args], { stdio: ["ignore", log, log] });
      closeSync(log);
      const answers = () =>
        connectEngine(socket)
          .ping()
          .then(
            () => true,
            () => undefined,
          );
      await eventually(answers, START_LIMIT_MS).catch(() => {
        throw new Error(`dockerd does not answer:\n${readFileSync(join(folder, "log"), "utf8").slice(-2_000)}`);
      });
    },
    async stop() {
      if (!daemon) return;
      daemon.kill("SIGTERM");
      await ended(daemon);
    },
    async load(image) {
      const copy = `docker save "$1" | docker --host "unix://$2" load`;
      const load = spawn("/bin/sh", ["-c", copy, "sh", image, socket], { stdio: ["ignore", "ignore", "inherit"] });
      await ended(load);
      if (load.exitCode !== 0) throw new Error(`${image} cannot be copied`);
    },
    async remove() {
      await this.stop();
      unmountBelow(folder);
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

/** What an engine that ended has left mounted. */
function unmountBelow(folder: string): void {
  const places = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  for (const place of places.filter((each) => each.startsWith(`${folder}/`)).reverse()) {
    spawnSync("/usr/bin/umount", ["--lazy", place]);
  }
}
