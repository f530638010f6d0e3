/** Follows the trainer's log file and hands out its lines as messages. */
import { type FileHandle, open } from "node:fs/promises";
import { StringDecoder } from "node:string_decoder";
import { createLineSplitter, type LogMessage, toMessages } from "./log-lines.ts";

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
}

/** Starts at the file's beginning. `redact` sees every line before anybody else. */
export function startLogTail(
  file: string,
  redact: (text: string) => string,
  emit: (message: LogMessage) => void,
): LogTail {
  const decoder = new StringDecoder("utf8");
  const splitter = createLineSplitter();
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let handle: FileHandle | undefined;
  let position = 0;
  let recent = "";
  let looking: Promise<void> | undefined;

  function show(lines: string[]): void {
    const clean = lines.map(redact);
    if (clean.length > 0) recent = `${recent}${clean.join("\n")}\n`.slice(-TAIL_CHARACTERS);
    for (const message of toMessages(clean)) emit(message);
  }

  async function look(): Promise<number> {
    handle ??= await open(file, "r");
    const behind = (await handle.stat()).size - position;
    if (behind > MAX_BEHIND_BYTES) {
      position += behind - CHUNK_BYTES;
      splitter.flush();
      emit({ level: "info", message: `… ${behind - CHUNK_BYTES} bytes left out here; the log file has them all` });
    }
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, position);
    position += bytesRead;
    if (bytesRead > 0) show(splitter.feed(decoder.write(buffer.subarray(0, bytesRead))));
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

  return {
    tail: () => recent.trimEnd(),
    async finish() {
      clearInterval(timer);
      await looking;
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
