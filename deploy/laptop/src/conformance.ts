import { join } from "node:path";
import { ROOT } from "./paths.ts";
import { commandRunner } from "./suite.ts";

type ConformanceOptions = {
  json?: boolean;
  core?: boolean;
  list?: boolean;
  only?: string;
  task?: string;
  jobs?: string;
};

/**
 * `./vp conformance <trainer folder>`: runs the kit, which builds on this package, as a program of its own.
 * @returns 0 when every requirement holds, 1 when one does not, 2 when nothing could be asked.
 */
export function conformance(folder: string, options: ConformanceOptions): Promise<number> {
  const named = (["only", "task", "jobs"] as const).flatMap((name) => {
    const value = options[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  const flags = (["core", "list", "json"] as const).filter((name) => options[name]).map((name) => `--${name}`);
  const args = [join(ROOT, "conformance/src/main.ts"), folder, ...named, ...flags];
  return commandRunner(false)(process.execPath, args, { cwd: process.cwd() });
}
