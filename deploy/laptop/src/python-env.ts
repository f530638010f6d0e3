import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fetchEnvironment } from "./config.ts";
import { ROOT, vpPaths } from "./paths.ts";
import { runTool } from "./tool.ts";
import { pythonProjects } from "./trainers.ts";
import { ensureUv, findPython } from "./uv.ts";

/** A Python environment: what is installed from a lock, and which folders of this checkout are importable in it. */
export type EnvPlan = { name: string; path: string; lock: string; editable: string[] };

/** The environment of one project under trainers/: its development lock, the kit, and itself. */
export function trainerEnv(dir: string): EnvPlan {
  const name = basename(dir);
  const sdk = resolve(dir, "../sdk");
  const editable = existsSync(join(sdk, "pyproject.toml")) && sdk !== dir ? [sdk, dir] : [dir];
  return { name, path: join(vpPaths().envs, name), lock: join(dir, "requirements-dev.lock"), editable };
}

/** The environment of the script that makes the demo's data. */
export function demoEnv(): EnvPlan {
  const dir = join(ROOT, "deploy/demo");
  return { name: "demo", path: join(vpPaths().envs, "demo"), lock: join(dir, "requirements.lock"), editable: [] };
}

/** The environment that generates the Pydantic models from shared-contracts. */
export function contractsEnv(): EnvPlan {
  const lock = join(ROOT, "shared-contracts/requirements.lock");
  return { name: "contracts", path: join(vpPaths().envs, "contracts"), lock, editable: [] };
}

/** The environment of the MLflow server that the gateway's tracking is tested against. */
export function mlflowEnv(): EnvPlan {
  const lock = join(ROOT, "deploy/mlflow/requirements.lock");
  return { name: "mlflow", path: join(vpPaths().envs, "mlflow"), lock, editable: [] };
}

/** Every Python environment of this checkout: what checks and tests need. */
export function allEnvs(): EnvPlan[] {
  return [...pythonProjects().map(trainerEnv), demoEnv(), contractsEnv(), mlflowEnv()];
}

/** True when the environment is installed exactly as its lock and project files ask. */
export function isInstalled(plan: EnvPlan): boolean {
  const stamp = join(plan.path, "vp-stamp");
  return existsSync(stamp) && existsSync(plan.lock) && readFileSync(stamp, "utf8") === stampOf(plan);
}

/**
 * Installs an environment unless it is there already. It is made beside and then renamed, so an interrupted
 * installation leaves the old one, or none.
 * @throws ToolError with what uv said.
 */
export async function ensureEnv(plan: EnvPlan, detail: (text: string) => void = () => undefined): Promise<void> {
  if (isInstalled(plan)) return;
  if (!existsSync(plan.lock)) throw new Error(`${plan.lock} is missing: restore it with "git checkout"`);
  const uv = await ensureUv(detail);
  const fresh = `${plan.path}.new-${process.pid}`;
  const env = { ...fetchEnvironment(), VIRTUAL_ENV: fresh };
  mkdirSync(vpPaths().envs, { recursive: true });
  try {
    // Relocatable, because its programs must still start after the rename.
    await runTool(uv, ["venv", "--quiet", "--clear", "--relocatable", "--python", findPython().path, fresh], { env });
    await runTool(uv, ["pip", "sync", plan.lock], { env, detail });
    if (plan.editable.length > 0) {
      const folders = plan.editable.flatMap((dir) => ["-e", dir]);
      await runTool(uv, ["pip", "install", "--no-deps", ...folders], { env, detail });
    }
    writeFileSync(join(fresh, "vp-stamp"), stampOf(plan));
    const old = `${plan.path}.old-${process.pid}`;
    if (existsSync(plan.path)) renameSync(plan.path, old);
    renameSync(fresh, plan.path);
    rmSync(old, { recursive: true, force: true });
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Changes when the lock, a project file or the place of the checkout changes (editable installs hold full paths). */
function stampOf(plan: EnvPlan): string {
  const hash = createHash("sha256").update(readFileSync(plan.lock));
  for (const dir of plan.editable) hash.update(dir).update(readFileSync(join(dir, "pyproject.toml")));
  return hash.digest("hex");
}
