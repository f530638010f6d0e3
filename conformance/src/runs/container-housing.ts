/** Trainers in containers of one image, as hardened as a launcher's, on a network that reaches the platform's doors and nothing else. */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { basename, join } from "node:path";
import { MARKER_VARIABLE } from "./environment.ts";
import type { Exit, Housed, HousedCommand, Housing, ReadableEnvironment } from "./housing.ts";
import { exitOf } from "./process-housing.ts";
import { cpuSeconds } from "./processes.ts";
import type { Sandbox } from "./sandbox.ts";

const COMMAND_LIMIT_MS = 60_000;
/** A look into the container costs a process of the engine: not with every turn. */
const LOOK_EVERY_MS = 1_000;

/** Runs the docker program and gives back what it printed. Throws with its complaint when it fails. */
export function docker(...args: string[]): string {
  const done = spawnSync("docker", args, { encoding: "utf8", timeout: COMMAND_LIMIT_MS, maxBuffer: 64 * 1024 * 1024 });
  if (done.status === 0) return done.stdout.trim();
  const why = done.error ? done.error.message : done.stderr.trim();
  throw new Error(`docker ${args[0]} failed: ${why}`);
}

const networks = new Set<string>();
process.once("exit", () => {
  for (const name of networks) spawnSync("docker", ["network", "rm", name], { stdio: "ignore" });
});

/** Opens a network without a way out. The image's own entry point and user are used. Throws when no engine answers. */
export function containerHousing(image: string): Housing {
  const network = `vp-conformance-${process.pid}-${networks.size}`;
  docker("network", "create", "--internal", network);
  networks.add(network);
  const address = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network);
  return {
    address,
    start: (what) => start(image, network, what),
    close() {
      docker("network", "rm", network);
      networks.delete(network);
    },
  };
}

const HARDENED = [
  ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "512"],
  ...["--shm-size", "256m", "--tmpfs", "/work:rw,nosuid,nodev,size=1g,uid=10001,gid=10001,mode=0700"],
];

function start(image: string, network: string, { command, env, sandbox }: HousedCommand): Housed {
  const name = `vp-conformance-${basename(sandbox.path)}`;
  docker(
    "create",
    "--name",
    name,
    "--network",
    network,
    ...HARDENED,
    ...mounts(sandbox),
    ...told(sandbox, env),
    image,
    ...command,
  );
  rmSync(environmentFile(sandbox));
  const [out, err] = [openSync(sandbox.stdout, "w", 0o600), openSync(sandbox.stderr, "w", 0o600)];
  const client = spawn("docker", ["start", "--attach", name], { detached: true, stdio: ["ignore", out, err] });
  closeSync(out);
  closeSync(err);
  let over = false;
  const exit = exitOf(client).then(asProcess);
  exit.finally(() => {
    over = true;
  });
  let looked = { at: 0, found: [] as ReadableEnvironment[] };
  return {
    exit,
    signal(signal) {
      if (!over) spawnSync("docker", ["kill", "--signal", signal, name], { stdio: "ignore" });
    },
    cpuSeconds: () => (over ? null : cpuSeconds(mainProcess(name))),
    environments() {
      if (!over && Date.now() - looked.at > LOOK_EVERY_MS) looked = { at: Date.now(), found: environmentsIn(name) };
      return looked.found;
    },
    // Nothing outlives its container.
    processes: () => [],
    end: () => void spawnSync("docker", ["rm", "--force", "--volumes", name], { stdio: "ignore" }),
  };
}

/** The sandbox lies at the same place inside, so that all that is said of files holds there, too. */
function mounts(sandbox: Sandbox): string[] {
  const shared = ["/tmp", "/var/tmp"].map((path) => [join(sandbox.path, "shared", path), path] as const);
  for (const folder of [sandbox.path, sandbox.home, sandbox.tmp, sandbox.cache]) chmodSync(folder, 0o777);
  for (const [own] of shared) {
    mkdirSync(own, { recursive: true });
    chmodSync(own, 0o1777);
  }
  const pairs = [[sandbox.path, sandbox.path], [sandbox.cache, sandbox.cache], ...shared] as const;
  return [...pairs.flatMap(([own, inside]) => ["--volume", `${own}:${inside}`]), "--workdir", sandbox.path];
}

/** By a file, because arguments are readable by everybody on the machine. */
function told(sandbox: Sandbox, env: Record<string, string>): string[] {
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(environmentFile(sandbox), lines.join(""), { mode: 0o600 });
  return ["--env-file", environmentFile(sandbox), "--label", `vision-platform.conformance=${env[MARKER_VARIABLE]}`];
}

function environmentFile(sandbox: Sandbox): string {
  return join(sandbox.path, "environment");
}

/** The engine's client says 128 and the number for a trainer that a signal ended. */
function asProcess({ code, signal }: Exit): Exit {
  const name = Object.entries(constants.signals).find(([, number]) => code === 128 + number)?.[0];
  return name ? { code: null, signal: name as NodeJS.Signals } : { code, signal };
}

/** The trainer is the one child of the image's init; -1 when that cannot be seen from here. */
function mainProcess(name: string): number {
  try {
    const init = docker("inspect", "--format", "{{.State.Pid}}", name);
    const [child] = readFileSync(`/proc/${init}/task/${init}/children`, "utf8").trim().split(" ");
    return Number(child || init);
  } catch {
    return -1;
  }
}

const READ_ALL = 'for each in /proc/[0-9]*; do echo "@$each"; tr "\\0" "\\001" < $each/environ 2>/dev/null; echo; done';

/** What a program of the image's own user reads there, the init's environment included. The engine gives the container's
 * whole environment to whatever it executes: the reader drops its own first. */
function environmentsIn(name: string): ReadableEnvironment[] {
  const done = spawnSync("docker", ["exec", name, "/usr/bin/env", "-i", "/bin/sh", "-c", READ_ALL], {
    encoding: "latin1",
    timeout: 10_000,
  });
  return (done.stdout ?? "").split("@/proc/").flatMap((text) => {
    const [pid = "", ...block] = text.split("\n");
    return pid === "" ? [] : [{ process: pid, main: false, block: block.join("\n").replaceAll("\u0001", "\0") }];
  });
}
