/** Follows the trainer's log file and hands out its lines as messages. */
import { type FileHandle, open } from "node:fs/promises";
import { createLineSplitter, type LogLine, type LogMessage, toMessages } from "./log-lines.ts";

const LOOK_EVERY_MS = 200;
const CHUNK_BYTES = 256 * 1024;
/** Further behind than this, it goes on near the end: the stored log has what it leaves out. */
const MAX_BEHIND_BYTES = 1024 * 1024;
const TAIL_CHARACTERS = 2_000;

export interface LogTail {
  /** The last lines so far, for the message of a failure. */
  tail(): string;
  /** Reads to the end of the file and stops. Never rejects. */
  finish(): Promise<void>;
  /** Stops where it is: the line that is being written is another reader's. Never rejects. */
  leave(): Promise<void>;
}

export interface LogTailOptions {
  file: string;
  /** Sees every line before anybody else. */
  redact: (text: string) => string;
  emit: (message: LogMessage) => void;
  /** Bytes of the file that were handed out before; default none. */
  from?: number;
}

/** The file may come later, and may be written anew from its beginning. */
export function startLogTail({ file, redact, emit, from = 0 }: LogTailOptions): LogTail {
  let splitter = createLineSplitter(from);
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let handle: FileHandle | undefined;
  let position = from;
  let recent = "";
  let looking: Promise<void> | undefined;

  function show(lines: LogLine[]): void {
    const clean = lines.map(({ text, offset }) => ({ text: redact(text), offset }));
    if (clean.length > 0) recent = `${recent}${clean.map(({ text }) => text).join("\n")}\n`.slice(-TAIL_CHARACTERS);
    for (const message of toMessages(clean)) emit(message);
  }

  async function look(): Promise<number> {
    handle ??= await open(file, "r");
    const behind = (await handle.stat()).size - position;
    if (behind > MAX_BEHIND_BYTES) {
      position += behind - CHUNK_BYTES;
      splitter = createLineSplitter(position);
      const message = `… ${behind - CHUNK_BYTES} bytes left out here; the log file has them all`;
      emit({ level: "info", message, offset: position });
    }
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, position);
    position += bytesRead;
    if (bytesRead > 0) show(splitter.feed(buffer.subarray(0, bytesRead)));
    return bytesRead;
  }

  const timer = setInterval(() => {
    looking ??= look()
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        looking = undefined;
      });
  }, LOOK_EVERY_MS);

  async function stop(): Promise<void> {
    clearInterval(timer);
    await looking;
  }

  return {
    tail: () => recent.trimEnd(),
    async leave() {
      await stop();
      await handle?.close().catch(() => undefined);
    },
    async finish() {
      await stop();
      try {
        while ((await look()) > 0);
      } catch {
        // No file: the trainer never started.
      }
      show(splitter.flush());
      await handle?.close().catch(() => undefined);
    },
  };
}
