import { join } from "node:path";
import { NODE_OPTIONS } from "@vision-platform/common/node-options";
import { wholeEnvironment } from "./config.ts";
import { ROOT } from "./paths.ts";
import { installEnvs } from "./prepare.ts";
import { createProgress, progressMode } from "./progress.ts";
import { demoEnv } from "./python-env.ts";
import { commandRunner } from "./suite.ts";

/**
 * `./vp test --compose`: docker-compose.yml from a clean clone to nothing left, as a program of its own.
 * @returns 0 when everything held, 1 when something did not.
 */
export async function composeScenario(json: boolean): Promise<number> {
  const progress = createProgress(progressMode(json), 1);
  try {
    // The images that are uploaded are made by the demo's scripts.
    await installEnvs([demoEnv()], progress);
  } finally {
    progress.end();
  }
  const args = [...NODE_OPTIONS, join(ROOT, "deploy/compose/scenario.ts")];
  const run = commandRunner(false);
  return await run(process.execPath, [...args, ...(json ? ["--json"] : [])], { cwd: ROOT, env: wholeEnvironment() });
}
