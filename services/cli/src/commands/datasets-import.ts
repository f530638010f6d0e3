import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import {
  completeUpload,
  createDataset,
  createUpload,
  type Dataset,
  type DatasetVersion,
  getDataset,
  type SOURCE_FORMATS,
} from "@vision-platform/contracts/api/datasets";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { EXIT } from "../exit-codes.ts";
import { findProject, listDatasetsOf } from "../lookup/by-name.ts";
import { CommandError, UsageError } from "../output/failure.ts";
import { bytes, count, plain } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { createTransferBar } from "../output/transfer-bar.ts";
import type { Session } from "../session/session.ts";
import { partsOf, sendParts } from "../upload/send-parts.ts";
import { filesOf, writeZip } from "../upload/zip-folder.ts";
import { watchJob } from "../watch/watch-job.ts";
import type { Context } from "./action.ts";
import { printVersion } from "./datasets-show.ts";

export interface ImportOptions {
  project?: string;
  name?: string;
  task: TaskType;
  format: (typeof SOURCE_FORMATS)[number];
  skipBadFiles?: boolean;
  valFraction: number;
  seed: number;
}

/** A zip file that may be temporary. */
interface Archive {
  path: string;
  filename: string;
  bytes: number;
  remove(): Promise<void>;
}

/** The zip as it is, or the folder as a zip in a temporary folder. Rejects with UsageError. */
async function archiveOf(source: string, output: Output): Promise<Archive> {
  const path = resolve(source);
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) throw new UsageError(`${source} is not there`);
  const name = plain(basename(path)).replace(/[/\\]/g, "_");
  if (info.isFile()) {
    if (!/\.zip$/i.test(name)) throw new UsageError(`${source} is no .zip file and no folder`);
    return { path, filename: name, bytes: info.size, remove: async () => undefined };
  }
  const { files, links } = await filesOf(path);
  if (links > 0) output.note(`${count(links)} symbolic ${links === 1 ? "link is" : "links are"} left out`);
  const folder = await mkdtemp(join(tmpdir(), "vp-import-"));
  const remove = () => rm(folder, { recursive: true, force: true });
  const bar = createTransferBar(
    output,
    "packing",
    files.reduce((sum, file) => sum + file.bytes, 0),
  );
  try {
    const zip = join(folder, "images.zip");
    await writeZip(files, zip, (more) => bar.add(more));
    return { path: zip, filename: `${name.slice(0, 150)}.zip`, bytes: (await stat(zip)).size, remove };
  } catch (error) {
    await remove();
    throw error;
  } finally {
    bar.end();
  }
}

/** The project's dataset of that name; a new one when there is none. Rejects with UsageError on another task. */
async function datasetFor(session: Session, name: string, options: ImportOptions): Promise<Dataset> {
  const project = await findProject(session, options.project);
  const known = (await listDatasetsOf(session, project.id)).find(
    (one) => one.name.toLowerCase() === name.toLowerCase(),
  );
  if (known === undefined)
    return session.call(createDataset, { body: { project_id: project.id, name, task_type: options.task } });
  if (known.task_type !== options.task)
    throw new UsageError(
      `the dataset ${known.name} is for ${known.task_type}: give another --name, or --task ${known.task_type}`,
    );
  return known;
}

async function send(session: Session, output: Output, dataset: Dataset, archive: Archive, options: ImportOptions) {
  const params = { dataset_id: dataset.id };
  const upload = await session.call(createUpload, {
    params,
    body: { filename: archive.filename, bytes: archive.bytes },
  });
  const bar = createTransferBar(output, "uploading", archive.bytes);
  let sent: { part_number: number; etag: string }[];
  try {
    sent = await sendParts(archive.path, partsOf(upload, archive.bytes), (more) => bar.add(more));
  } finally {
    bar.end();
  }
  output.line(`uploaded ${archive.filename} (${bytes(archive.bytes)})`);
  const { skipBadFiles = false, valFraction, seed, format } = options;
  return session.call(completeUpload, {
    params: { ...params, upload_id: upload.upload_id },
    body: {
      skip_bad_files: skipBadFiles,
      val_fraction: valFraction,
      seed,
      format,
      ...(upload.method === "multipart" ? { parts: sent } : {}),
    },
    // Joining the parts of a large upload takes the storage a while.
    timeout: 120_000,
  });
}

/** Uploads, follows the ingest job, prints what became of it. 0: the version is ready; 1: it is not. */
export async function runImport(
  { output, session }: Context,
  [source = ""]: string[],
  options: ImportOptions,
): Promise<number> {
  const open = await session();
  const archive = await archiveOf(source, output);
  let started: { version: number; job_id: number };
  let dataset: Dataset;
  try {
    dataset = await datasetFor(open, options.name ?? archive.filename.replace(/\.zip$/i, ""), options);
    started = await send(open, output, dataset, archive, options);
  } finally {
    await archive.remove();
  }
  output.line(`dataset ${dataset.id} (${dataset.name}) v${started.version}: checking in job ${started.job_id}`);
  const job = await watchJob(open, output, started.job_id, 0);
  if (job === undefined) {
    output.note(`job ${started.job_id} goes on; see ./vp datasets show ${dataset.id}`);
    return EXIT.interrupted;
  }
  const version = await versionOf(open, dataset.id, started.version);
  output.record({ dataset_id: dataset.id, ...version });
  printVersion(output, version);
  if (version.state === "READY") {
    output.note(`./vp jobs submit --dataset ${dataset.id} --model <model> --watch`);
    return EXIT.ok;
  }
  if (version.finding_counts.error === 0 && job.failure !== null)
    output.line(`${job.failure.code}: ${plain(job.failure.message)}`);
  return job.state === "CANCELLED" ? EXIT.cancelled : EXIT.failed;
}

async function versionOf(session: Session, datasetId: number, number: number): Promise<DatasetVersion> {
  const { versions } = await session.call(getDataset, { params: { dataset_id: datasetId } });
  const version = versions.find((one) => one.version === number);
  if (version === undefined) throw new CommandError(`dataset ${datasetId} has no version ${number}`);
  return version;
}
