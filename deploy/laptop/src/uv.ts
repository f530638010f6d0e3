import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fetchEnvironment, wholeEnvironment } from "./config.ts";
import { VP_DIR, vpPaths } from "./paths.ts";
import { runTool } from "./tool.ts";

const LOCK = resolve(import.meta.dirname, "../requirements-uv.lock");
const OLDEST_PYTHON = [3, 11] as const;

/** Python for the environments; `path` is the program, `version` like "3.11.7". */
export type Python = { path: string; version: string };

/**
 * Finds a Python that is new enough.
 * @throws Error that says what was found and what to install.
 */
export function findPython(): Python {
  const seen: string[] = [];
  for (const name of ["python3", "python3.13", "python3.12", "python3.11", "python3.14"]) {
    const python = askPython(name);
    if (!python) continue;
    const [major = 0, minor = 0] = python.version.split(".").map(Number);
    if (major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1])) return python;
    seen.push(`${name} is ${python.version}`);
  }
  const found = seen.length > 0 ? seen.join(", ") : "no python3 was found";
  throw new Error(
    `Python ${OLDEST_PYTHON.join(".")} or newer is needed, ${found}: install python3.11 and python3.11-venv`,
  );
}

function askPython(name: string): Python | null {
  try {
    const code = "import sys, platform; print(sys.executable); print(platform.python_version())";
    // The person's whole environment: version managers such as pyenv are steered by variables of their own.
    const options = { encoding: "utf8", stdio: "pipe", env: wholeEnvironment() } as const;
    const [path = name, version = "0"] = execFileSync(name, ["-c", code], options).trim().split("\n");
    return { path, version };
  } catch {
    return null;
  }
}

/**
 * The uv program of this checkout: the pinned version from PyPI, hash-checked, in `.vp/uv`.
 * Interrupted half-way it leaves nothing under that name.
 */
export async function ensureUv(detail: (text: string) => void = () => undefined): Promise<string> {
  const { uv } = vpPaths();
  const program = join(uv, "bin/uv");
  const stamp = join(uv, "stamp");
  const lock = readFileSync(LOCK, "utf8");
  if (existsSync(program) && existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return program;

  const fresh = `${uv}.new-${process.pid}`;
  const python = findPython();
  mkdirSync(VP_DIR, { recursive: true });
  rmSync(fresh, { recursive: true, force: true });
  try {
    await runTool(python.path, ["-m", "venv", fresh], { env: fetchEnvironment() }).catch((error: Error) => {
      throw new Error(`Python ${python.version} cannot make environments: install python3-venv\n${error.message}`);
    });
    const pip = ["-m", "pip", "--disable-pip-version-check", "install", "--require-hashes", "--no-deps", "-r", LOCK];
    await runTool(join(fresh, "bin/python"), pip, { env: fetchEnvironment(), detail });
    writeFileSync(join(fresh, "stamp"), lock);
    rmSync(uv, { recursive: true, force: true });
    renameSync(fresh, uv);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return program;
}
