/** The scripts of deploy/demo draw digits; what was drawn once is found under .vp by later runs. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { baseEnvironment } from "@vision-platform/laptop/config";
import { ROOT, vpPaths } from "@vision-platform/laptop/paths";
import { demoEnv, ensureEnv } from "@vision-platform/laptop/python-env";
import { runTool } from "@vision-platform/laptop/tool";

/** One installation of the scripts' environment, however many ask at the same time. */
let installing: Promise<void> | undefined;

/** The path of what `script` writes with these arguments, and the place to write it to as its last. */
export async function drawn(name: string, script: string, args: (string | number)[]): Promise<string> {
  const made = join(vpPaths().dir, "conformance-data", name);
  if (existsSync(made)) return made;
  const plan = demoEnv();
  installing ??= ensureEnv(plan);
  await installing;
  const fresh = `${made}.new-${process.pid}-${Math.random().toString(36).slice(2)}`;
  mkdirSync(dirname(made), { recursive: true });
  const program = [join(ROOT, "deploy/demo", script), ...args.map(String), fresh];
  await runTool(join(plan.path, "bin/python"), program, { env: baseEnvironment() });
  try {
    renameSync(fresh, made);
  } catch (error) {
    // Another run was quicker.
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(made)) throw error;
  }
  return made;
}
