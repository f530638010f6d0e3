import { mkdirSync } from "node:fs";
import type { Settings } from "./config.ts";
import type { VpPaths } from "./paths.ts";
import { createCluster } from "./postgres.ts";
import type { Progress } from "./progress.ts";
import { type EnvPlan, ensureEnv, isInstalled, trainerEnv } from "./python-env.ts";
import { ensureRedisBinary } from "./redis-binary.ts";
import { ensureSecrets } from "./secrets.ts";
import { enabledTrainers } from "./trainers.ts";
import { ensureUv } from "./uv.ts";

/** How many steps `prepare` shows at most, for the bar. */
export function preparationSteps(): number {
  return 3 + enabledTrainers().length;
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
    enabledTrainers().map((trainer) => trainerEnv(trainer.dir)),
    progress,
  );
}

/** Installs Python environments one after the other: each uses the whole network and disk by itself. */
export async function installEnvs(plans: EnvPlan[], progress: Progress): Promise<void> {
  const missing = plans.filter((plan) => !isInstalled(plan));
  if (missing.length === 0) return;
  await progress.run("uv, the Python installer", async (detail) => void (await ensureUv(detail)));
  for (const plan of missing)
    await progress.run(`Python environment ${plan.name}`, (detail) => ensureEnv(plan, detail));
}
