import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, ownRecord, type ProcessRecord } from "./process-identity.ts";

/**
 * Runs `work` while no other process of this checkout holds the lock. A holder that died (its recorded identity is no
 * longer alive) is not waited for.
 * @param onWait is told once who holds the lock, when there is somebody to wait for.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  onWait: (holder: ProcessRecord) => void,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const own = JSON.stringify(ownRecord("vp"));
  for (let told = false; ; ) {
    if (tryCreate(file, own)) break;
    const holder = readHolder(file);
    if (holder && !isAlive(holder)) {
      removeDead(file);
      continue;
    }
    if (holder && !told) {
      onWait(holder);
      told = true;
    }
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryCreate(file: string, text: string): boolean {
  try {
    writeFileSync(file, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Null while the file is gone or its holder is still writing it. */
function readHolder(file: string): ProcessRecord | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ProcessRecord;
  } catch {
    return null;
  }
}

/** Moves the file away first: of two waiters only one gets to remove it. */
function removeDead(file: string): void {
  const dead = `${file}.dead-${process.pid}`;
  try {
    renameSync(file, dead);
    rmSync(dead);
  } catch {
    // The other waiter was quicker.
  }
}
