/** The folder of one attempt: WORK_DIR/attempts/<job>-<attempt>/, for this user alone. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { StopReason } from "@vision-platform/contracts/last-word";

export interface AttemptDirectory {
  path: string;
  home: string;
  tmp: string;
  /** Both outputs of the trainer, exactly as written. */
  log: string;
  /** One word, written before the trainer is asked to stop: cancelled, preempted or timeout. */
  stopReasonFile: string;
}

/** The name that directory, record and marker of an attempt share. */
export function attemptName(ids: { job_id: number; attempt: number }): string {
  return `${ids.job_id}-${ids.attempt}`;
}

export function attemptsFolder(workDir: string): string {
  return join(workDir, "attempts");
}

/** Verified downloads that all trainers of this host share. */
export function cacheFolder(workDir: string): string {
  return join(workDir, "cache");
}

/** Where things lie; nothing is made. */
export function attemptDirectory(workDir: string, ids: { job_id: number; attempt: number }): AttemptDirectory {
  const path = join(attemptsFolder(workDir), attemptName(ids));
  return {
    path,
    home: join(path, "home"),
    tmp: join(path, "tmp"),
    log: join(path, "log.txt"),
    stopReasonFile: join(path, "stop-reason"),
  };
}

/** Makes the folders. Synchronous: three calls of the system are quicker than three turns of the event loop. */
export function prepareDirectory(directory: AttemptDirectory): void {
  for (const path of [directory.path, directory.home, directory.tmp]) mkdirSync(path, { recursive: true, mode: 0o700 });
}

/** Replaced as a whole, so that the trainer never reads half a word. */
export function writeStopReason(directory: AttemptDirectory, reason: StopReason): void {
  const fresh = `${directory.stopReasonFile}.new`;
  writeFileSync(fresh, reason, { mode: 0o600 });
  renameSync(fresh, directory.stopReasonFile);
}

/** Deletes everything of the attempt; never rejects. */
export async function removeDirectory(directory: AttemptDirectory): Promise<void> {
  await rm(directory.path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
}
