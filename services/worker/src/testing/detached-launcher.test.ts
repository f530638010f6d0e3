import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { createDetachedLauncher } from "./detached-launcher.ts";
import { removeLaunchFolders } from "./launch-spec.ts";
import { launcherConformance } from "./launcher-conformance.ts";

const folder = mkdtempSync(join(tmpdir(), "vp-detached-"));
afterAll(() => {
  removeLaunchFolders();
  rmSync(folder, { recursive: true, force: true });
});

launcherConformance("detached processes", { create: () => createDetachedLauncher(folder) });
