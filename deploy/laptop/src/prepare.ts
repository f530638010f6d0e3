import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Settings } from "./config.ts";
import { withLock } from "./lock.ts";
import { type VpPaths, vpPaths } from "./paths.ts";
import { createCluster } from "./postgres.ts";
import type { Progress } from "./progress.ts";
import { type EnvPlan, ensureEnv, isInstalled, trainerEnv } from "./python-env.ts";
import { ensureRedisBinary } from "./redis-binary.ts";
import { ensureSecrets } from "./secrets.ts";
import { enabledTrainers, isPythonProject } from "./trainers.ts";
import { ensureUv } from "./uv.ts";

/** How many steps `prepare` shows at most, for the bar. */
export function preparationSteps(settings: Settings): number {
  return 3 + enabledTrainers(settings).length;
}

/** Installs and makes whatever a start needs. A second time it finds everything there and takes no network. */
export async function prepare(settings: Settings, paths: VpPaths, progress: Progress): Promise<void> {
  mkdirSync(paths.dir, { recursive: true });
  const secrets = ensureSecrets(paths.secrets);
  const cluster = settings.DATABASE_URL
    ? Promise.resolve()
    : progress.run("Database files", () => createCluster(paths.postgres, secrets.postgres_password, true));
  // Together, because the one waits for the disk and the others for the network.
  await Promise.all([cluster, installAll(settings, progress)]);
}

async function installAll(settings: Settings, progress: Progress): Promise<void> {
  if (!settings.REDIS_URL) await progress.run("Redis server", async (detail) => void (await ensureRedisBinary(detail)));
  await installEnvs(
    enabledTrainers(settings)
      .filter((trainer) => isPythonProject(trainer.dir))
      .map((trainer) => trainerEnv(trainer.dir)),
    progress,
  );
}

/** Installs Python environments one after the other: each uses the whole network and disk by itself. */
export async function installEnvs(plans: EnvPlan[], progress: Progress): Promise<void> {
  if (plans.every(isInstalled)) return;
  const install = async () => {
    removeUnfinished(vpPaths().envs);
    // Looked at again: whoever held the lock before us may have installed them.
    const missing = plans.filter((plan) => !isInstalled(plan));
    await progress.run("uv, the Python installer", async (detail) => void (await ensureUv(detail)));
    for (const plan of missing) {
      await progress.run(`Python environment ${plan.name}`, (detail) => ensureEnv(plan, detail));
    }
  };
  await withLock(join(vpPaths().dir, "envs.lock"), install, (holder) => {
    process.stderr.write(`waiting for another ./vp that installs Python environments (process ${holder.pid})\n`);
  });
}

/** What an interrupted installation left; only ever called by the one who holds the lock. */
function removeUnfinished(envs: string): void {
  if (!existsSync(envs)) return;
  for (const name of readdirSync(envs)) {
    if (/\.(new|old)-\d+$/.test(name)) rmSync(join(envs, name), { recursive: true, force: true });
  }
}
