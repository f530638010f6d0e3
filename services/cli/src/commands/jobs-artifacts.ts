import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join, normalize, resolve, sep } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { listJobArtifacts } from "@vision-platform/contracts/api/jobs";
import { CommandError, UsageError } from "../output/failure.ts";
import { bytes } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { createTransferBar, type TransferBar } from "../output/transfer-bar.ts";
import type { Context } from "./action.ts";
import { parseJobId } from "./arguments.ts";

interface RemoteFile {
  name: string;
  url: string;
  sha256: string;
  bytes: number;
}

export async function list({ output, session }: Context, [text = ""]: string[]): Promise<undefined> {
  const jobId = parseJobId(text);
  const { items } = await (await session()).call(listJobArtifacts, { params: { job_id: jobId } });
  output.list(
    items,
    [
      { title: "name", of: (one) => one.name },
      { title: "size", of: (one) => bytes(one.bytes), align: "right" },
      { title: "type", of: (one) => one.media_type },
      { title: "sha256", of: (one) => one.sha256 },
    ],
    "no files",
  );
  if (items.length > 0) output.note(`./vp jobs download ${jobId}`);
  return undefined;
}

/** Where a file goes; a name that would leave the folder is refused (CommandError). */
export function targetPath(folder: string, name: string): string {
  const root = resolve(folder);
  const target = resolve(root, normalize(name));
  if (!target.startsWith(root + sep))
    throw new CommandError(`the file name ${name} leads out of the folder: not downloaded`);
  return target;
}

/** Downloads into a temporary name, checks size and SHA-256, then renames. Rejects with CommandError. */
export async function downloadFile(file: RemoteFile, target: string, onBytes: (count: number) => void): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const part = `${target}.part`;
  const hash = createHash("sha256");
  let count = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      count += chunk.length;
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
  try {
    const response = await fetch(file.url).catch((cause: unknown) => {
      throw new CommandError(`${file.name}: the storage does not answer`, { cause });
    });
    if (!response.ok || response.body === null)
      throw new CommandError(`${file.name}: the storage answers ${response.status}`);
    await pipeline(
      Readable.fromWeb(response.body as import("node:stream/web").ReadableStream),
      measure,
      createWriteStream(part),
    );
    const found = hash.digest("hex");
    if (count !== file.bytes || found !== file.sha256) {
      throw new CommandError(
        `${file.name} arrived damaged: ${count} of ${file.bytes} bytes, sha256 ${found} instead of ${file.sha256}`,
      );
    }
    await rename(part, target);
  } finally {
    await rm(part, { force: true });
  }
}

export async function download(
  { output, session }: Context,
  [text = "", ...names]: string[],
  options: { output?: string },
): Promise<undefined> {
  const jobId = parseJobId(text);
  const folder = options.output ?? `job-${jobId}`;
  const { items } = await (await session()).call(listJobArtifacts, { params: { job_id: jobId } });
  const missing = names.filter((name) => !items.some((one) => one.name === name));
  if (missing.length > 0)
    throw new UsageError(
      `job ${jobId} has no ${missing.join(", ")}; it has: ${items.map((one) => one.name).join(", ") || "no files"}`,
    );
  const wanted = names.length === 0 ? items : items.filter((one) => names.includes(one.name));
  if (wanted.length === 0) throw new CommandError(`job ${jobId} has left no files`);
  const bar = createTransferBar(
    output,
    "downloading",
    wanted.reduce((sum, one) => sum + one.bytes, 0),
  );
  await downloadAll(wanted, folder, output, bar);
  return undefined;
}

async function downloadAll(files: RemoteFile[], folder: string, output: Output, bar: TransferBar): Promise<void> {
  const done: { name: string; path: string; bytes: number; sha256: string }[] = [];
  try {
    for (const file of files) {
      const path = targetPath(folder, file.name);
      await downloadFile(file, path, (count) => bar.add(count));
      done.push({ name: file.name, path, bytes: file.bytes, sha256: file.sha256 });
    }
  } finally {
    bar.end();
    for (const file of done) {
      output.record(file);
      output.line(`${join(folder, file.name)}  ${bytes(file.bytes)}  verified`);
    }
  }
}
