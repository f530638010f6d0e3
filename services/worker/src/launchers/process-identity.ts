/** Processes as the machine knows them: a pid alone is reused, pid and start time together are not. */
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

export interface ProcessIdentity {
  pid: number;
  /** Ticks since boot (Linux) or the start's date (macOS); compared, never calculated with. */
  start_time: string;
}

/** The start time of a living process; null when there is none (a zombie counts as none). */
export function startTime(pid: number): string | null {
  return process.platform === "linux" ? linuxStartTime(pid) : psStartTime(pid);
}

export function isAlive(identity: ProcessIdentity): boolean {
  return startTime(identity.pid) === identity.start_time;
}

/** One word for a process, for records: `<pid>:<start time>`. */
export function processHandle({ pid, start_time }: ProcessIdentity): string {
  return `${pid}:${start_time}`;
}

/** The process that a handle names, living or not; null for no handle. */
export function readHandle(handle: string | null): ProcessIdentity | null {
  const [, pid, start_time] = /^([1-9]\d*):(.+)$/.exec(handle ?? "") ?? [];
  return pid === undefined || start_time === undefined ? null : { pid: Number(pid), start_time };
}

/** This very process. Throws when the system does not tell its start time. */
export function ownIdentity(): ProcessIdentity {
  const start_time = startTime(process.pid);
  if (start_time === null) throw new Error("this process cannot read its own start time");
  return { pid: process.pid, start_time };
}

/**
 * Names the space in which pids mean something: this boot and this pid namespace. Records of another space on the same
 * host are of before a reboot, or of an earlier container: their processes are gone.
 */
export function pidSpace(): string {
  if (process.platform !== "linux") return hostname();
  return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
}

function linuxStartTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name may itself hold blanks and brackets: count from the last bracket.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function psStartTime(pid: number): string | null {
  try {
    const env = { LC_ALL: "C", TZ: "UTC", PATH: "/bin:/usr/bin" };
    const line = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], { env, encoding: "utf8" }).trim();
    const [state, ...started] = line.split(/\s+/);
    return !state || state.startsWith("Z") ? null : started.join(" ");
  } catch {
    return null;
  }
}
