/** A file that keeps the beginning of what is written and, beyond its limit, the end. */
import { open } from "node:fs/promises";

const TAIL_BYTES = 1_048_576;

export interface BoundedFile {
  write(bytes: Buffer): Promise<void>;
  /** A remark of ours, on a line of its own. */
  note(text: string): Promise<void>;
  /** Writes how much is left out, and the end. */
  close(): Promise<void>;
}

/** Made anew, for this user alone. Rejects when its folder is not there. */
export async function openBoundedFile(path: string, limitBytes: number): Promise<BoundedFile> {
  const handle = await open(path, "w", 0o600);
  let written = 0;
  let tail: Buffer[] = [];
  let tailBytes = 0;
  let leftOut = 0;

  function keepEnd(bytes: Buffer): void {
    tail.push(Buffer.from(bytes));
    tailBytes += bytes.length;
    while (tail.length > 1 && tailBytes - (tail[0]?.length ?? 0) >= TAIL_BYTES) {
      const gone = tail.shift()?.length ?? 0;
      tailBytes -= gone;
      leftOut += gone;
    }
  }

  async function write(bytes: Buffer): Promise<void> {
    const room = Math.max(0, limitBytes - written);
    const head = bytes.subarray(0, room);
    if (head.length > 0) await handle.write(head);
    written += head.length;
    if (head.length < bytes.length) keepEnd(bytes.subarray(head.length));
  }

  return {
    write,
    note: (text) => write(Buffer.from(`\n… ${text} …\n`)),
    async close() {
      if (leftOut > 0) await handle.write(`\n… ${leftOut} bytes left out here …\n`);
      for (const bytes of tail) await handle.write(bytes);
      tail = [];
      await handle.close();
    },
  };
}
