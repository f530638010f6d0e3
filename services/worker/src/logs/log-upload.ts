/** Brings an attempt's log to the storage. */
import { open } from "node:fs/promises";
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { attemptLogKey } from "@vision-platform/contracts/names";

/** Of a longer log, the beginning and the end are kept. */
const HEAD_BYTES = 4 * 1024 * 1024;
const TAIL_BYTES = 12 * 1024 * 1024;

export interface LogUpload {
  s3: S3Client;
  bucket: string;
  ids: { job_id: number; attempt: number };
  file: string;
  redact: (text: string) => string;
  signal: AbortSignal;
}

async function readBounded(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { size } = await handle.stat();
    if (size <= HEAD_BYTES + TAIL_BYTES) return (await handle.readFile()).toString("utf8");
    const head = Buffer.alloc(HEAD_BYTES);
    const tail = Buffer.alloc(TAIL_BYTES);
    await handle.read(head, 0, HEAD_BYTES, 0);
    await handle.read(tail, 0, TAIL_BYTES, size - TAIL_BYTES);
    return `${head.toString("utf8")}\n… ${size - HEAD_BYTES - TAIL_BYTES} bytes left out here …\n${tail.toString("utf8")}`;
  } finally {
    await handle.close();
  }
}

/** Answers with the bytes stored. Rejects when there is no file, or the storage does not take it before `signal`. */
export async function uploadLog({ s3, bucket, ids, file, redact, signal }: LogUpload): Promise<number> {
  const body = Buffer.from(redact(await readBounded(file)));
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: attemptLogKey(ids.job_id, ids.attempt),
    Body: body,
    ContentType: "text/plain; charset=utf-8",
  });
  await s3.send(command, { abortSignal: signal });
  return body.length;
}
