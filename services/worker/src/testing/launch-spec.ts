/** Launches of the script trainer without a platform around it, for tests of launchers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { LaunchSpec } from "../launchers/launcher.ts";
import type { ScriptStep } from "./script.ts";

const SCRIPT_TRAINER = join(import.meta.dirname, "script-trainer.ts");
const folders: string[] = [];

/** The environment of an attempt whose events go to its standard output. */
function environment(directory: string, script: ScriptStep[]): Record<string, string> {
  return {
    PATH: "/usr/bin:/bin",
    HOME: directory,
    TMPDIR: directory,
    JOB_ID: "6",
    ATTEMPT: "1",
    JOB_KIND: "train",
    CONFIG_JSON: JSON.stringify({ script }),
    EVENTS_MODE: "stdout",
    CALLBACK_URL: "http://127.0.0.1:9",
    CALLBACK_TOKEN: "a-token-that-opens-nothing",
    OUTPUT_URI: "s3://bucket/jobs/6/",
    STOP_REASON_FILE: join(directory, "stop-reason"),
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

/** In a new temporary folder; see removeLaunchFolders. */
export function scriptedLaunch(script: ScriptStep[], changes: Partial<LaunchSpec> = {}): LaunchSpec {
  const directory = mkdtempSync(join(tmpdir(), "vp-launch-"));
  folders.push(directory);
  return {
    marker: `test-${basename(directory)}`,
    command: [process.execPath, SCRIPT_TRAINER],
    env: environment(directory, script),
    directory,
    logFile: join(directory, "log.txt"),
    nice: 0,
    ...changes,
  };
}
