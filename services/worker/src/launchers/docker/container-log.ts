/** Brings a container's output into the attempt's log file, from its first byte to its last. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@vision-platform/common/logger";
import { type AgentClient, AgentError } from "./agent-client.ts";

const RETRY_MS = 500;
/** So long agent and engine may be away before the rest of the log is given up. */
const AWAY_LIMIT_MS = 600_000;
/** What the engine's file holds of a line beside the line itself (LOGGED_LABELS included), and of an escaped byte beside the byte, at most. */
const FRAME_BYTES = 275;
const ESCAPE_BYTES = 5;

export interface LogSource {
  agent: Pick<AgentClient, "log" | "state">;
  id: string;
  file: string;
  /** Resolves when the container has ended. */
  ended: Promise<unknown>;
  logger: Logger;
}

type Take = (chunk: Buffer) => Promise<void> | void;

/** Nobody reads the log any more: the container is removed, or the attempt's folder is. */
class NobodyListens extends Error {}

/** Hands out all bytes from `from` on; answers true when the engine says that there are no more. */
async function read(source: LogSource, from: number, take: Take): Promise<boolean> {
  const stop = new AbortController();
  try {
    const response = await source.agent.log(source.id, from, stop.signal);
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (!existsSync(source.file)) throw new NobodyListens();
      await take(chunk);
    }
    return response.complete;
  } catch (error) {
    if (error instanceof AgentError && error.code === "not_found") throw new NobodyListens();
    if (error instanceof NobodyListens || (error as NodeJS.ErrnoException).syscall === "write") throw error;
    source.logger.warn({ err: error, container: source.id }, "the container's output is not heard just now");
    return false;
  } finally {
    stop.abort();
  }
}

/** How many bytes there were, and how many the engine's own files hold of them at most. */
class Meter {
  bytes = 0;
  in_files = 0;

  count(chunk: Buffer): void {
    let extra = 0;
    for (const byte of chunk) {
      if (byte === 10) extra += FRAME_BYTES;
      else if (byte < 32 || byte > 126 || byte === 34 || byte === 92) extra += ESCAPE_BYTES;
    }
    this.bytes += chunk.length;
    this.in_files += chunk.length + extra;
  }
}

/** Writes each chunk behind what the meter has counted. */
function writeTo(into: FileHandle, meter: Meter): Take {
  return async (chunk) => {
    await into.write(chunk, 0, chunk.length, meter.bytes);
    meter.count(chunk);
  };
}

/** Follows the container to its end; false when it could not be heard for too long. */
async function follow(source: LogSource, into: FileHandle, meter: Meter): Promise<boolean> {
  const take = writeTo(into, meter);
  let ended = false;
  source.ended.then(() => {
    ended = true;
  });
  let heard = Date.now();
  for (;;) {
    // Whoever follows a log hears of the end sometimes before the last line: only what is read after the end is all.
    const last = ended;
    const whole = await read(source, meter.bytes, take);
    if (whole && last) return true;
    if (whole) heard = Date.now();
    if (Date.now() - heard > AWAY_LIMIT_MS) return false;
    await (whole ? Promise.race([source.ended, sleep(RETRY_MS)]) : sleep(RETRY_MS));
    if (!existsSync(source.file)) return false;
  }
}

/**
 * The engine keeps a log in several files of a bounded size, and whoever follows it loses lines while it changes them. A
 * log of more than one file is therefore read again as a whole when the container has ended. What the engine itself has
 * dropped by then is said.
 */
async function repair(source: LogSource, into: FileHandle, heard: Meter): Promise<void> {
  const { log } = await source.agent.state(20_000);
  if (heard.in_files < log.file_bytes) return;
  const kept = new Meter();
  if (!(await read(source, 0, (chunk) => kept.count(chunk)))) return;
  const dropped = kept.in_files >= log.kept_bytes;
  let end = heard.bytes;
  if (!dropped || kept.bytes > heard.bytes) {
    const again = new Meter();
    await read(source, 0, writeTo(into, again));
    end = again.bytes;
  }
  await into.truncate(end);
  if (!dropped) return;
  const note = `… the engine keeps ${log.kept_bytes} bytes of a trainer's output: lines may be left out above …`;
  await into.write(`\n${note}\n`, end);
}

/**
 * Begins at once; what the file held before is replaced. Resolves when all of an ended container's output is in the file,
 * or nothing more can be had (the container is removed, the attempt's folder is gone, the disk is full). Never rejects.
 */
export async function followContainerLog(source: LogSource): Promise<void> {
  try {
    mkdirSync(dirname(source.file), { recursive: true, mode: 0o700 });
    writeFileSync(source.file, "", { mode: 0o600 });
    const into = await open(source.file, "r+");
    try {
      const meter = new Meter();
      if (await follow(source, into, meter)) await repair(source, into, meter);
    } finally {
      await into.close();
    }
  } catch (error) {
    if (error instanceof NobodyListens) return;
    source.logger.error({ err: error, container: source.id }, "the container's output was not written down to its end");
  }
}
