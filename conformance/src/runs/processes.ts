/** What Linux tells of processes: environments, families, processor time. On other systems nothing is known. */
import { readdirSync, readFileSync } from "node:fs";

/** Every living process of the session that `leader` began, or that descends from one. */
export function sessionProcesses(leader: number): number[] {
  return allProcesses().filter((pid) => stat(pid)?.session === leader && stat(pid)?.state !== "Z");
}

/** The living processes that inherited `text` (NAME=value) in their environment. */
export function processesWith(text: string): number[] {
  return allProcesses().filter((pid) => environmentOf(pid)?.split("\0").includes(text) && stat(pid)?.state !== "Z");
}

/** The initial environment, as any process of the same user can read it; null when it is gone or not ours to read. */
export function environmentOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return null;
  }
}

/** Processor time of one process so far, in seconds; null when unknown. */
export function cpuSeconds(pid: number): number | null {
  const found = stat(pid);
  return found ? found.ticks / TICKS_PER_S : null;
}

/** sysconf(_SC_CLK_TCK) of every Linux that people run. */
const TICKS_PER_S = 100;

function allProcesses(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^[1-9]\d*$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** proc_pid_stat(5): the fields after the last bracket begin with the third. */
function stat(pid: number): { state: string; session: number; ticks: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return {
      state: fields[0] ?? "",
      session: Number(fields[3]),
      ticks: Number(fields[11]) + Number(fields[12]),
    };
  } catch {
    return null;
  }
}
