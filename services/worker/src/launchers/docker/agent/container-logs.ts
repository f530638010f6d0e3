/** What a container wrote, as plain bytes. */
import { type Readable, Transform, type TransformCallback, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type Docker from "dockerode";

const HEADER_BYTES = 8;

/** The engine frames each piece of output (one byte for which of the two, four for the length): taken off, both in one. */
function unframe(): Transform {
  let header = Buffer.alloc(0);
  let left = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      let rest = chunk;
      while (rest.length > 0) {
        if (left === 0) {
          const missing = HEADER_BYTES - header.length;
          header = Buffer.concat([header, rest.subarray(0, missing)]);
          rest = rest.subarray(missing);
          if (header.length < HEADER_BYTES) break;
          left = header.readUInt32BE(4);
          header = Buffer.alloc(0);
        } else {
          const piece = rest.subarray(0, left);
          this.push(piece);
          left -= piece.length;
          rest = rest.subarray(piece.length);
        }
      }
      done();
    },
  });
}

/** Leaves the first bytes out: for a reader that has them already. */
function skip(bytes: number): Transform {
  let left = bytes;
  return new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      const cut = Math.min(left, chunk.length);
      left -= cut;
      done(null, chunk.subarray(cut));
    },
  });
}

/**
 * Everything that the engine keeps of a container's output, from byte `from` on, and on to the container's end.
 * Resolves when the last byte is in `into`. Rejects as dockerode does, or when either side goes away.
 */
export async function sendLog(
  container: Docker.Container,
  from: number,
  into: Writable,
  signal: AbortSignal,
): Promise<void> {
  const options = { stdout: true, stderr: true, follow: true as const, abortSignal: signal };
  // Of an ended container, too: following ends with the last byte there.
  const source = (await container.logs(options)) as Readable;
  await pipeline(source, unframe(), skip(from), into, { signal });
}
