import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * A process as the machine knows it. A pid alone is reused; pid and start time together are not.
 * `start_time` is field 22 of /proc/<pid>/stat (ticks since boot) on Linux, `ps -o lstart=` in UTC on macOS.
 */
export type ProcessRecord = { name: string; pid: number; start_time: string };

/** The start time of a living process, or null when there is no such process (a zombie counts as none). */
export function startTime(pid: number): string | null {
  return process.platform === "linux" ? linuxStartTime(pid) : psStartTime(pid);
}

/** True while the very process of the record is alive. */
export function isAlive(record: { pid: number; start_time: string }): boolean {
  return startTime(record.pid) === record.start_time;
}

/** The record of this process. */
export function ownRecord(name: string): ProcessRecord {
  const started = startTime(process.pid);
  if (started === null) throw new Error("this process cannot read its own start time");
  return { name, pid: process.pid, start_time: started };
}

function linuxStartTime(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return null;
  }
  // The command name in brackets may hold spaces and brackets itself: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? null : (fields[19] ?? null);
}

function psStartTime(pid: number): string | null {
  try {
    const env = { LC_ALL: "C", TZ: "UTC", PATH: "/bin:/usr/bin" };
    const [state, ...started] = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], {
      env,
      encoding: "utf8",
    })
      .trim()
      .split(/\s+/);
    return !state || state.startsWith("Z") ? null : started.join(" ");
  } catch {
    return null;
  }
}
