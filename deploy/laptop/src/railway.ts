import { join } from "node:path";
import { wholeEnvironment } from "./config.ts";
import { ROOT } from "./paths.ts";
import { installEnvs } from "./prepare.ts";
import { createProgress, progressMode } from "./progress.ts";
import { demoEnv } from "./python-env.ts";
import { commandRunner } from "./suite.ts";

type RailwayOptions = {
  json?: boolean;
  frameworks?: string;
  variant?: string;
  checkout?: string;
  draining?: string;
  brief?: boolean;
};

/**
 * `./vp test --railway` and `./vp railway-simulation`: plays Railway with containers, as a program of its own.
 * @returns 0 when everything held, 1 when something did not.
 */
export async function railway(options: RailwayOptions): Promise<number> {
  const progress = createProgress(progressMode(options.json ?? false), 1);
  try {
    // The images that are uploaded are made by the demo's scripts.
    await installEnvs([demoEnv()], progress);
  } finally {
    progress.end();
  }
  const named = (["frameworks", "variant", "checkout", "draining"] as const).flatMap((name) => {
    const value = options[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  const flags = (["brief", "json"] as const).filter((name) => options[name]).map((name) => `--${name}`);
  const args = [join(ROOT, "deploy/railway/src/simulate.ts"), ...named, ...flags];
  return await commandRunner(false)(process.execPath, args, { cwd: ROOT, env: wholeEnvironment() });
}
