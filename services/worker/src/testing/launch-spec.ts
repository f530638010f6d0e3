/** Launches of the script trainer without a platform around it, for tests of launchers. */
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LaunchSpec } from "../launchers/launcher.ts";
import { type AttemptDirectory, attemptDirectory, prepareDirectory } from "../supervision/attempt-directory.ts";
import type { ScriptStep } from "./script.ts";

const SCRIPT_TRAINER = join(import.meta.dirname, "script-trainer.ts");
const folders: string[] = [];

/** The environment of an attempt whose events go to its standard output; without the launcher's surroundings. */
function environment(ids: { job_id: number; attempt: number }, script: ScriptStep[]): Record<string, string> {
  return {
    JOB_ID: String(ids.job_id),
    ATTEMPT: String(ids.attempt),
    JOB_KIND: "train",
    CONFIG_JSON: JSON.stringify({ script }),
    EVENTS_MODE: "stdout",
    CALLBACK_URL: "http://127.0.0.1:9",
    CALLBACK_TOKEN: "a-token-that-opens-nothing",
    OUTPUT_URI: `s3://bucket/jobs/${ids.job_id}/`,
    STORAGE_BUCKET: "bucket",
    S3_ENDPOINT: "http://127.0.0.1:9",
    S3_ACCESS_KEY_ID: "id",
    S3_SECRET_ACCESS_KEY: "secret",
  };
}

/** Call it in `afterAll`. */
export function removeLaunchFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** A directory of the attempt in a work folder of its own; see removeLaunchFolders. */
export function launchDirectory(ids: { job_id: number; attempt: number }): AttemptDirectory {
  const folder = mkdtempSync(join(tmpdir(), "vp-launch-"));
  folders.push(folder);
  const directory = attemptDirectory(folder, ids);
  prepareDirectory(directory);
  return directory;
}

/** Each with a job number and a folder of its own; see removeLaunchFolders. */
export function scriptedLaunch(
  script: ScriptStep[],
  surroundings: (directory: AttemptDirectory) => Record<string, string>,
  changes: Partial<LaunchSpec> = {},
): LaunchSpec {
  const ids = { job_id: changes.job_id ?? randomInt(1, 2_000_000_000), attempt: changes.attempt ?? 1 };
  const directory = launchDirectory(ids);
  return {
    ...ids,
    framework: "scripted",
    kind: "train",
    trace_id: "0af7651916cd43dd8448eb211c80319c",
    marker: `${ids.job_id}-${ids.attempt}-${randomInt(1, 2_000_000_000).toString(16)}`,
    command: [process.execPath, SCRIPT_TRAINER],
    image: "vision-platform-scripted:test",
    env: { ...surroundings(directory), ...environment(ids, script) },
    directory,
    shmBytes: 67_108_864,
    gpus: [],
    allowNetwork: false,
    maxRuntimeS: 600,
    nice: 0,
    onWaiting: () => undefined,
    onWarning: () => undefined,
    signal: new AbortController().signal,
    ...changes,
  };
}
