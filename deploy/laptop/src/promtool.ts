import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fetchEnvironment } from "./config.ts";
import { vpPaths } from "./paths.ts";
import { findOnPath } from "./redis-binary.ts";
import { runTool } from "./tool.ts";

/** Where Prometheus' own tool is, or why there is none. */
export type Promtool = { path: string } | { path: null; why: string };

/**
 * The promtool on PATH, else the one of Debian's package, unpacked into `.vp` without installing it. No registry of
 * packages ships it, and building it from its Go module takes minutes; on other systems a person installs it.
 */
export async function ensurePromtool(): Promise<Promtool> {
  const { promtool } = vpPaths();
  const found = findOnPath("promtool") ?? (existsSync(promtool) ? promtool : null);
  if (found) return { path: found };
  if (!findOnPath("apt-get")) return { path: null, why: "promtool is not on PATH, and this is no Debian" };
  try {
    await unpackDebians(promtool);
    return { path: promtool };
  } catch (error) {
    return { path: null, why: `promtool is not on PATH, and Debian's cannot be had: ${(error as Error).message}` };
  }
}

/** @throws ToolError with what apt or dpkg said. */
async function unpackDebians(promtool: string): Promise<void> {
  const { dir } = vpPaths();
  mkdirSync(dir, { recursive: true });
  const fresh = mkdtempSync(`${promtool}.new-`);
  const options = { env: fetchEnvironment(), cwd: fresh };
  // Lists of its own: the machine's may be old or empty, and to renew those is a matter of its administrator.
  mkdirSync(join(fresh, "lists/partial"), { recursive: true });
  const apt = Object.entries({
    "Dir::State::lists": join(fresh, "lists"),
    "Dir::Cache": fresh,
    // Not as another user, who may not look into this folder.
    "APT::Sandbox::User": "",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "Acquire::http::Timeout": "20",
    "Acquire::Retries": "1",
  }).map(([name, value]) => `--option=${name}=${value}`);
  try {
    await runTool("apt-get", [...apt, "update"], options);
    await runTool("apt-get", [...apt, "download", "prometheus"], options);
    await runTool("/bin/sh", ["-c", "dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool"], options);
    renameSync(join(fresh, "usr/bin/promtool"), promtool);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
