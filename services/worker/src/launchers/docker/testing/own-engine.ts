/** A Docker engine of a test's own, beside the machine's: one that may be stopped, killed and started again. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../../../testing/platform.ts";
import { connectEngine } from "../agent/engine.ts";

const START_LIMIT_MS = 60_000;

export interface OwnEngine {
  socket: string;
  /** Resolves when the engine has ended. */
  stop(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** Copies an image of the machine's engine. */
  load(image: string): Promise<void>;
  /** Takes everything of it away. */
  remove(): Promise<void>;
}

/** Whether this machine lets a test have one: it has the program, and we are root. */
export function mayHaveEngine(): boolean {
  return existsSync("/usr/sbin/dockerd") && process.getuid?.() === 0;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

/** Not started yet. */
export function ownEngine(): OwnEngine {
  const folder = mkdtempSync(join(tmpdir(), "vp-engine-"));
  const socket = join(folder, "engine.sock");
  const containerdPid = join(folder, "exec/containerd/containerd.pid");
  let daemon: ChildProcess | undefined;

  return {
    socket,
    async start() {
      const log = openSync(join(folder, "log"), "a");
      const roots = ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")];
      // Without a bridge of its own it leaves the other engine's alone; the agent's network gets a range nobody else has.
      const network = ["--bridge", "none", "--default-address-pool", "base=10.231.0.0/16,size=24"];
      const args = ["--host", `unix://${socket}`, "--pidfile", join(folder, "pid"), ...roots, ...network];
      daemon = spawn("/usr/sbin/dockerd", args, { stdio: ["ignore", log, log] });
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
    async stop(signal) {
      if (!daemon) return;
      const containerd = existsSync(containerdPid) ? Number(readFileSync(containerdPid, "utf8")) : 0;
      daemon.kill(signal);
      await ended(daemon);
      // A killed engine leaves its containerd, which the next one would find and use; a machine that fails leaves nothing.
      if (signal === "SIGKILL" && containerd > 1) process.kill(containerd, "SIGKILL");
      if (signal === "SIGKILL") rmSync(join(folder, "pid"), { force: true });
    },
    async load(image) {
      const copy = `docker save "$1" | docker --host "unix://$2" load`;
      const load = spawn("/bin/sh", ["-c", copy, "sh", image, socket], { stdio: ["ignore", "ignore", "inherit"] });
      await ended(load);
      if (load.exitCode !== 0) throw new Error(`${image} cannot be copied`);
    },
    async remove() {
      await this.stop("SIGTERM");
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}
