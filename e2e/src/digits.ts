/** The demo's digits, made once per run by the script that `./vp demo` uses. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { CHECKOUT } from "./platform.ts";

/** Path of a zip with the 1,797 digits; with `damage`, that many of its files are broken. */
export async function digitsZip(folder: string, damage = 0): Promise<string> {
  const output = join(folder, `digits-${damage}.zip`);
  if (existsSync(output)) return output;
  const python = join(CHECKOUT, ".vp/envs/demo/bin/python");
  const damaged = damage > 0 ? ["--damage", String(damage)] : [];
  await promisify(execFile)(python, [join(CHECKOUT, "deploy/demo/make_digits.py"), "--output", output, ...damaged]);
  return output;
}
