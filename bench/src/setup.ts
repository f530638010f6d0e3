/** Clone → first result, and the demo once everything is there: in an empty folder, with a fresh home directory. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKOUT } from "@vision-platform/e2e/platform";
import type { Figure } from "./report.ts";

async function timed(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<number> {
  const begin = performance.now();
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "ignore", "inherit"] });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}`);
  return (performance.now() - begin) / 1000;
}

export async function benchSetup(): Promise<{ figures: Figure[]; notes: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), "vp-setup-"));
  const home = join(folder, "home");
  const clone = join(folder, "clone");
  mkdirSync(home);
  const caches = /^(XDG_|UV_CACHE|npm_config_cache|NODE_COMPILE_CACHE)/;
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !caches.test(name)));
  // The same on every machine, whatever engine it has.
  const env = { ...kept, HOME: home, TRAINING_EXECUTION_MODE: "subprocess" };
  try {
    const cloned = await timed("git", ["clone", "-q", CHECKOUT, clone], folder, env);
    const first = await timed("./vp", ["demo"], clone, env);
    await timed("./vp", ["down"], clone, env);
    const warm = await timed("./vp", ["demo"], clone, env);
    const again = await timed("./vp", ["demo"], clone, env);
    await timed("./vp", ["down"], clone, env);
    return {
      figures: [
        {
          name: "clone → first result",
          measured: `${(cloned + first).toFixed(0)} s`,
          limit: "",
          goal: "minutes",
          met: cloned + first < 600,
        },
        {
          name: "warm demo, platform down",
          measured: `${warm.toFixed(1)} s`,
          limit: "",
          goal: "≤ 30 s",
          met: warm <= 30,
        },
        {
          name: "warm demo, platform up",
          measured: `${again.toFixed(1)} s`,
          limit: "",
          goal: "≤ 30 s",
          met: again <= 30,
        },
      ],
      notes: [
        "setup: git clone into an empty folder, a fresh home directory (no npm or uv cache), then ./vp demo three times.",
      ],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
