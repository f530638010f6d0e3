/** Finds a trainer's processes by the marker in their environment, wherever they have gone. */
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { startTime } from "./process-identity.ts";

/** The variable that every process of an attempt inherits. */
export const MARKER_VARIABLE = "VP_ATTEMPT";

/**
 * The living processes whose environment carries the marker: data loaders, forks that left the group, orphans.
 * Linux only (`/proc`); elsewhere the list is empty and the process group has to do. A program that starts another one
 * with a wiped environment outside the group escapes: only a container or a cgroup holds that one.
 */
export async function markedProcesses(marker: string): Promise<number[]> {
  if (process.platform !== "linux") return [];
  const wanted = `${MARKER_VARIABLE}=${marker}`;
  const pids = readdirSync("/proc")
    .filter((name) => /^[1-9]\d*$/.test(name))
    .map(Number);
  const found = await Promise.all(pids.map(async (pid) => ((await carries(pid, wanted)) ? pid : null)));
  return found.filter((pid) => pid !== null);
}

async function carries(pid: number, wanted: string): Promise<boolean> {
  try {
    const environ = await readFile(`/proc/${pid}/environ`, "latin1");
    return environ.split("\0").includes(wanted) && startTime(pid) !== null;
  } catch {
    return false;
  }
}
