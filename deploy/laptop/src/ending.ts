import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, type ProcessRecord } from "./process-identity.ts";

/** Reads every process record in a folder; a file that is torn or foreign is skipped. */
export function readRecords(dir: string): { file: string; record: ProcessRecord }[] {
  let names: string[];
  try {
    names = readdirSync(dir).filter((name) => name.endsWith(".json"));
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const file = join(dir, name);
    const record = parseRecord(file);
    return record ? [{ file, record }] : [];
  });
}

function parseRecord(file: string): ProcessRecord | null {
  try {
    const value = JSON.parse(readFileSync(file, "utf8"));
    if (!Number.isInteger(value.pid) || value.pid <= 1 || value.start_time === undefined) return null;
    return { name: String(value.name ?? ""), pid: value.pid, start_time: String(value.start_time) };
  } catch {
    return null;
  }
}

/**
 * Ends processes by their recorded identity: the signal, then SIGKILL to what is left of each group after `graceMs`.
 * A process is signalled only while its start time is the recorded one.
 * @returns the names that had to be killed.
 */
export async function endProcesses(
  records: ProcessRecord[],
  signal: "SIGTERM" | "SIGINT",
  graceMs: number,
): Promise<string[]> {
  const living = records.filter(isAlive);
  for (const record of living) send(record.pid, signal);
  const deadline = Date.now() + graceMs;
  while (living.some(isAlive) && Date.now() < deadline) await sleep(20);
  const stubborn = living.filter(isAlive);
  // A group outlives its leader; its number cannot be reused while a member lives, and we saw the leader alive above.
  for (const record of living) send(-record.pid, "SIGKILL");
  const killedBy = Date.now() + 2_000;
  while (stubborn.some(isAlive) && Date.now() < killedBy) await sleep(10);
  return stubborn.map((record) => record.name);
}

/** Forgets the records whose process is gone. */
export function forgetEnded(dir: string): void {
  for (const { file, record } of readRecords(dir)) {
    if (!isAlive(record)) rmSync(file, { force: true });
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Ended by itself between the look and the signal.
  }
}
