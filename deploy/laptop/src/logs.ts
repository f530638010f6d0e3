import { closeSync, existsSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const TAIL_BYTES = 1 << 20;

/** The names that have a log, for a person to choose from. */
export function logNames(logDir: string): string[] {
  if (!existsSync(logDir)) return [];
  return readdirSync(logDir)
    .filter((name) => name.endsWith(".log"))
    .map((name) => name.slice(0, -".log".length))
    .sort();
}

/** The last `count` lines of a file, looking at no more than its last MiB; "" when it is not there. */
export function lastLines(file: string, count: number): string {
  if (!existsSync(file)) return "";
  const size = statSync(file).size;
  const text = readFrom(file, Math.max(0, size - TAIL_BYTES), size);
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.slice(-count).join("\n");
}

/** Calls `print` with each further line of the files, for ever; a file that is replaced is read from its beginning. */
export async function followLogs(files: string[], print: (file: string, line: string) => void): Promise<never> {
  const at = new Map(files.map((file) => [file, sizeOf(file)]));
  const rest = new Map<string, string>();
  for (;;) {
    for (const file of files) {
      const size = sizeOf(file);
      const from = size < (at.get(file) ?? 0) ? 0 : (at.get(file) ?? 0);
      if (size === from) continue;
      at.set(file, size);
      const lines = ((rest.get(file) ?? "") + readFrom(file, from, size)).split("\n");
      rest.set(file, lines.pop() ?? "");
      for (const line of lines) print(file, line);
    }
    await sleep(200);
  }
}

/** The path of a service's log. */
export function logFile(logDir: string, name: string): string {
  return join(logDir, `${name}.log`);
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function readFrom(file: string, from: number, to: number): string {
  const buffer = Buffer.alloc(to - from);
  const handle = openSync(file, "r");
  try {
    return buffer.toString("utf8", 0, readSync(handle, buffer, 0, buffer.length, from));
  } finally {
    closeSync(handle);
  }
}
