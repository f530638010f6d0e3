import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { NODE_OPTIONS } from "@vision-platform/common/node-options";
import { baseEnvironment, loadSettings, type Settings, settingsEnvironment } from "./config.ts";
import { endPlatform, livingProcesses } from "./end-platform.ts";
import { ensureFirstAccount } from "./first-account.ts";
import { withLock } from "./lock.ts";
import { lastLines } from "./logs.ts";
import { launchPart, rotateLog } from "./part.ts";
import { ROOT, type VpPaths, vpPaths } from "./paths.ts";
import { planPlatform } from "./platform.ts";
import { preparationSteps, prepare } from "./prepare.ts";
import { isAlive } from "./process-identity.ts";
import { createProgress, type Progress, type ProgressMode } from "./progress.ts";
import { ensureSecrets } from "./secrets.ts";
import { workerName } from "./services.ts";
import { type PlatformState, readState } from "./state.ts";
import { enabledTrainers } from "./trainers.ts";

const START_LIMIT_MS = 90_000;

/**
 * Starts the platform unless it runs already, and waits until every part is ready.
 * @returns the running platform's state.
 * @throws Error that names each part that is not ready and shows the end of its log.
 */
export function up(mode: ProgressMode, paths: VpPaths = vpPaths()): Promise<PlatformState> {
  const start = async () => {
    const settings = loadSettings();
    const progress = createProgress(mode, preparationSteps(settings) + 2);
    try {
      return await startPlatform(settings, paths, progress);
    } finally {
      progress.end();
    }
  };
  return withLock(paths.lock, start, (holder) => {
    process.stderr.write(`waiting for another ./vp that starts or ends the platform (process ${holder.pid})\n`);
  });
}

async function startPlatform(settings: Settings, paths: VpPaths, progress: Progress): Promise<PlatformState> {
  const running = runningState(paths);
  if (running) tellOfMissingWorkers(settings, running);
  else {
    // A killed supervisor may have left its children: they hold the ports and the data.
    if (livingProcesses(paths).length > 0) {
      await progress.run("Ending what an earlier ./vp left", () => endPlatform(paths));
    }
    await prepare(settings, paths, progress);
    await planPlatform(settings, paths);
    startSupervisor(paths);
  }
  const state = await progress.run("Starting the services", (detail) => waitForPlatform(paths, detail));
  await progress.run("First account", () =>
    ensureFirstAccount(state.gateway_url, ensureSecrets(paths.secrets), paths, settings.DATABASE_URL ?? "embedded"),
  );
  return state;
}

/** A running platform is not changed: its trainings would be interrupted. */
function tellOfMissingWorkers(settings: Settings, { processes }: PlatformState): void {
  const names = new Set(processes.map(({ name }) => name));
  const missing = enabledTrainers(settings).filter((trainer) => !names.has(workerName(trainer)));
  if (missing.length === 0) return;
  const list = missing.map(({ framework }) => framework).join(", ");
  process.stderr.write(`it runs already, without ${list}: ./vp down, and the same ./vp up again, starts that too\n`);
}

/** The state of a platform whose supervisor is alive, or null. */
export function runningState(paths: VpPaths): PlatformState | null {
  const state = readState(paths.state);
  return state && isAlive(state.supervisor) ? state : null;
}

/** Starts the supervisor, which outlives us. The folders and the Postgres cluster must be there (prepare, planPlatform). */
export function startSupervisor(paths: VpPaths): void {
  rotateLog(paths.logs, "supervisor");
  const supervisor = {
    name: "supervisor",
    command: process.execPath,
    args: [...NODE_OPTIONS, resolve(import.meta.dirname, "supervisor-main.ts"), paths.dir],
    env: { ...baseEnvironment(), ...settingsEnvironment() },
    cwd: ROOT,
  };
  launchPart(supervisor, paths).unref();
}

async function waitForPlatform(paths: VpPaths, detail: (text: string) => void): Promise<PlatformState> {
  const deadline = Date.now() + START_LIMIT_MS;
  const begun = Date.now();
  const restartsBefore = new Map<string, number>();
  for (;;) {
    const state = runningState(paths);
    const waiting = state?.processes.filter((part) => part.waiting_for !== null) ?? [];
    if (state && waiting.length === 0) return state;
    for (const part of waiting) restartsBefore.set(part.name, restartsBefore.get(part.name) ?? part.restarts);
    // Five starts in a row that failed will not be cured by a sixth.
    const hopeless = waiting.some(
      (part) =>
        part.restarts - (restartsBefore.get(part.name) ?? 0) >= 5 ||
        part.waiting_for?.startsWith("its settings are wrong"),
    );
    const dead = !state && Date.now() - begun > 15_000;
    if (hopeless || dead || Date.now() > deadline) throw new Error(describeFailure(paths, state));
    detail(`waiting for ${waiting.map((part) => part.name).join(", ") || "the supervisor"}`);
    await sleep(30);
  }
}

function describeFailure(paths: VpPaths, state: PlatformState | null): string {
  if (!state) return `the supervisor did not start:\n${lastLines(join(paths.logs, "supervisor.log"), 20)}`;
  const waiting = state.processes.filter((part) => part.waiting_for !== null);
  return waiting
    .map((part) => {
      const log = join(paths.logs, `${part.name}.log`);
      return `${part.name} is not ready: ${part.waiting_for}\n--- the end of ${log}\n${lastLines(log, 30)}`;
    })
    .join("\n");
}

/** Waits until the supervisor ends; Ctrl-C ends it and with it everything. */
export async function stayInForeground(paths: VpPaths = vpPaths()): Promise<void> {
  const state = runningState(paths);
  if (!state) return;
  const end = () => process.kill(state.supervisor.pid, "SIGTERM");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
  while (isAlive(state.supervisor)) await sleep(200);
}
