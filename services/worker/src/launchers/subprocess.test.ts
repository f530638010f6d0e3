import { existsSync } from "node:fs";
import { getPriority } from "node:os";
import { afterAll, expect, it } from "vitest";
import { removeLaunchFolders, scriptedLaunch } from "../testing/launch-spec.ts";
import { launcherConformance } from "../testing/launcher-conformance.ts";
import { createSubprocessLauncher } from "./subprocess.ts";

afterAll(removeLaunchFolders);
launcherConformance("subprocess", createSubprocessLauncher);

it("stands back for other processes", async () => {
  const launcher = createSubprocessLauncher();
  const trainer = await launcher.launch(scriptedLaunch([{ do: "sleep", ms: 600_000 }], { nice: 7 }));
  expect(getPriority(trainer.identity.pid ?? 0)).toBeGreaterThanOrEqual(7);
  await launcher.stop(trainer, "SIGKILL");
});

it.runIf(existsSync("/usr/bin/prlimit"))("does not let a trainer take more memory than it may", async () => {
  const launcher = createSubprocessLauncher();
  const script = [
    { do: "allocate" as const, mebibytes: 3_000 },
    { do: "exit" as const, code: 0 },
  ];
  const trainer = await launcher.launch(scriptedLaunch(script, { memoryBytes: 2_000 * 1_048_576 }));
  const exit = await launcher.wait(trainer);
  expect(exit).not.toEqual({ code: 0, signal: null });
});
