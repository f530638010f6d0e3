/** A file to its presigned addresses: parts side by side, each tried again when it fails. */
import { createReadStream } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Upload } from "@vision-platform/contracts/api/datasets";
import { CommandError } from "../output/failure.ts";

export interface Part {
  part_number: number;
  url: string;
  /** Bytes of the file, first and last included. */
  start: number;
  end: number;
  /** Signed along with the address: they must be sent. */
  headers?: Record<string, string>;
}

const SIDE_BY_SIDE = 4;
const PAUSES_MS = [500, 1_500, 4_000, 10_000];
const SILENCE_MS = 60_000;

/** Which bytes go to which address. */
export function partsOf(upload: Pick<Upload, "urls" | "part_size">, size: number): Part[] {
  return upload.urls.map(({ part_number, url }) => {
    const start = (part_number - 1) * upload.part_size;
    return {
      part_number,
      url,
      start,
      end: (upload.urls.length === 1 ? size : Math.min(size, start + upload.part_size)) - 1,
    };
  });
}

class Refused extends Error {
  readonly isPassing: boolean;

  constructor(status: number, text: string) {
    super(`the storage answers ${status}: ${text.slice(0, 200)}`);
    this.isPassing = status >= 500 || status === 429 || status === 408;
  }
}

/** One PUT with its length said beforehand (S3 takes no chunked bodies); resolves with the ETag. */
async function put(file: string, part: Part, onBytes: (count: number) => void, signal: AbortSignal): Promise<string> {
  const make = part.url.startsWith("https:") ? httpsRequest : httpRequest;
  const length = part.end - part.start + 1;
  const request = make(part.url, {
    method: "PUT",
    headers: { ...part.headers, "content-length": length },
    signal,
    timeout: SILENCE_MS,
  });
  request.on("timeout", () => request.destroy(new Error("the storage takes nothing")));
  const answered = new Promise<string>((resolve, reject) => {
    request.on("error", reject);
    request.on("response", async (response) => {
      let text = "";
      for await (const chunk of response.setEncoding("utf8")) text += chunk;
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) resolve(response.headers.etag ?? "");
      else reject(new Refused(status, text));
    });
  });
  const body = createReadStream(file, { start: part.start, end: part.end, highWaterMark: 256 * 1024 });
  body.on("data", (chunk) => onBytes(chunk.length));
  // An early refusal ends the sending; the answer tells why.
  const [etag] = await Promise.all([
    answered,
    pipeline(body, request).catch((error: unknown) =>
      Promise.race([answered.then(() => undefined), sleep(1_000).then(() => Promise.reject(error))]),
    ),
  ]);
  return etag;
}

async function putWithRetries(
  file: string,
  part: Part,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<string> {
  for (let attempt = 0; ; attempt += 1) {
    let sent = 0;
    try {
      return await put(
        file,
        part,
        (count) => {
          sent += count;
          onBytes(count);
        },
        signal,
      );
    } catch (error) {
      onBytes(-sent);
      const pause = PAUSES_MS[attempt];
      const isFinal = pause === undefined || signal.aborted || (error instanceof Refused && !error.isPassing);
      if (isFinal) throw new CommandError(`upload failed at part ${part.part_number}: ${(error as Error).message}`);
      await sleep(pause, undefined, { signal });
    }
  }
}

/** A whole file to one address. Rejects with CommandError. */
export async function sendFile(
  file: string,
  bytes: number,
  to: { url: string; headers?: Record<string, string> },
  onBytes: (count: number) => void,
): Promise<void> {
  await sendParts(file, [{ ...to, part_number: 1, start: 0, end: bytes - 1 }], onBytes);
}

/** Sends all parts, at most four at once; resolves with their ETags in order. Rejects with CommandError. */
export async function sendParts(
  file: string,
  parts: readonly Part[],
  onBytes: (count: number) => void,
): Promise<{ part_number: number; etag: string }[]> {
  const stop = new AbortController();
  const waiting = [...parts];
  const done: { part_number: number; etag: string }[] = [];
  const lane = async () => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      done.push({ part_number: part.part_number, etag: await putWithRetries(file, part, onBytes, stop.signal) });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(SIDE_BY_SIDE, parts.length) }, lane));
  } finally {
    stop.abort();
  }
  return done.sort((a, b) => a.part_number - b.part_number);
}
