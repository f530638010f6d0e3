/** Real pixels for every task, made once per run by the scripts that come with the demo. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { CHECKOUT } from "./platform.ts";

const PYTHON = join(CHECKOUT, ".vp/envs/demo/bin/python");
const run = promisify(execFile);

/** Path of a zip with the 1,797 digits; with `damage`, that many of its files are broken. */
export async function digitsZip(folder: string, damage = 0): Promise<string> {
  const output = join(folder, `digits-${damage}.zip`);
  if (existsSync(output)) return output;
  const damaged = damage > 0 ? ["--damage", String(damage)] : [];
  await run(PYTHON, [join(CHECKOUT, "deploy/demo/make_digits.py"), "--output", output, ...damaged]);
  return output;
}

/** Path of a zip with `count` scenes (digits pasted on canvases), laid out as people upload that task. */
export async function scenesZip(folder: string, task: TaskType, format: string, count: number): Promise<string> {
  const out = join(folder, `${task}-${format}-${count}.zip`);
  if (existsSync(out)) return out;
  const script = join(CHECKOUT, "deploy/demo/make_upload.py");
  await run(PYTHON, [script, "--task", task, "--format", format, "--count", String(count), "--out", out]);
  return out;
}
