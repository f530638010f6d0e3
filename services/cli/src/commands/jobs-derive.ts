/** jobs evaluate | predict | export: what can be done with the model of a training. */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { createDerivedJob, createImageUploads, getJob } from "@vision-platform/contracts/api/jobs";
import { findDataset } from "../lookup/by-name.ts";
import { UsageError } from "../output/failure.ts";
import type { Output } from "../output/output.ts";
import { createTransferBar } from "../output/transfer-bar.ts";
import type { Session } from "../session/session.ts";
import { sendFile } from "../upload/send-parts.ts";
import { watchToEnd } from "../watch/watch-to-end.ts";
import type { Context } from "./action.ts";
import { parseConfig, parseJobId } from "./arguments.ts";

export interface DeriveOptions {
  kind: "evaluate" | "predict" | "export";
  checkpoint: "best" | "last";
  dataset?: string;
  datasetVersion?: number;
  image?: string[];
  config?: string[];
  batchSize: number;
  name?: string;
  watch?: boolean;
}

interface ImageFile {
  path: string;
  filename: string;
  bytes: number;
}

/** Starts the job, and with --watch stays until the end: the exit code then tells how the job ended. */
export async function deriveJob(
  context: Context,
  [text = ""]: string[],
  options: DeriveOptions,
): Promise<number | undefined> {
  const { output } = context;
  const source = parseJobId(text);
  if (options.image !== undefined && options.dataset !== undefined)
    throw new UsageError("give --image or --dataset, not both");
  const config = await parseConfig(options.config ?? []);
  const files = await Promise.all((options.image ?? []).map(imageFile));
  const session = await context.session();
  const dataset_id = await datasetId(session, source, options.dataset);
  const images = files.length === 0 ? undefined : await sendImages(session, output, source, files);
  const job = await session.call(createDerivedJob, {
    params: { job_id: source },
    body: {
      ...{ kind: options.kind, checkpoint: options.checkpoint, batch_size: options.batchSize, config },
      ...(dataset_id === undefined ? {} : { dataset_id }),
      ...(options.datasetVersion === undefined ? {} : { dataset_version: options.datasetVersion }),
      ...(images === undefined ? {} : { images }),
      ...(options.name === undefined ? {} : { name: options.name }),
    },
  });
  const on = images === undefined ? `dataset ${job.dataset_id} v${job.dataset_version}` : `${images.length} images`;
  output.line(
    `job ${job.id} ${job.state}: ${job.kind} with the ${job.checkpoint} checkpoint of job ${source} on ${on}`,
  );
  if (options.watch === true) return watchToEnd(session, output, job.id, output.json ? 0 : job.last_seq);
  output.record(job);
  output.note(`./vp jobs watch ${job.id}`);
  return undefined;
}

/** A name is looked up in the training's own project. */
async function datasetId(session: Session, source: number, name: string | undefined): Promise<number | undefined> {
  if (name === undefined) return undefined;
  if (/^\d+$/.test(name)) return Number(name);
  const { project_id } = await session.call(getJob, { params: { job_id: source } });
  return (await findDataset(session, name, project_id)).id;
}

/** Rejects with UsageError when there is no such file. */
async function imageFile(path: string): Promise<ImageFile> {
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) throw new UsageError(`${path} is not there`);
  if (!info.isFile() || info.size === 0) throw new UsageError(`${path} is no image file`);
  return { path, filename: uploadName(basename(path)), bytes: info.size };
}

/** What the platform takes as a file name: letters, digits, `_ . -` and blanks, the ending kept. */
export function uploadName(name: string): string {
  const plain = name.normalize("NFKD").replace(/[^\w. -]/g, "_");
  return (/^\w/.test(plain) ? plain : `_${plain}`).slice(-180).replace(/^\W/, "_");
}

async function sendImages(session: Session, output: Output, job_id: number, files: ImageFile[]): Promise<string[]> {
  const { items } = await session.call(createImageUploads, {
    params: { job_id },
    body: { files: files.map(({ filename, bytes }) => ({ filename, bytes })) },
  });
  const bar = createTransferBar(
    output,
    "uploading",
    files.reduce((sum, file) => sum + file.bytes, 0),
  );
  try {
    for (const [place, { path, bytes }] of files.entries()) {
      await sendFile(path, bytes, { url: items[place]?.url ?? "" }, (more) => bar.add(more));
    }
  } finally {
    bar.end();
  }
  return items.map(({ image_id }) => image_id);
}
