/** Canonical dataset versions for the runs: whole ones made from real digits, and ones that are broken in one way. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { DatasetManifest, TaskType } from "@vision-platform/contracts/storage-manifests";
import type { TaskSettings } from "../trainer-folder.ts";
import { drawn } from "./drawing.ts";
import { type Objects, sha256 } from "./objects.ts";

/** Name under DATASET_URI → content. */
export type DatasetFiles = Map<string, Buffer>;

type Sample = { split: string; shard: string; offset: number; bytes: number; sha256: string; label?: number };

const MANIFEST = "MANIFEST.json";
const INDEX = "samples.jsonl.gz";

/** Draws the digits with deploy/demo/make_canonical.py. */
export async function drawDataset(task: TaskType, settings: TaskSettings["dataset"]): Promise<DatasetFiles> {
  const { train, val, size, digits } = settings;
  const numbers = ["--train", train, "--val", val, "--size", size, "--digits", digits];
  const name = `${task}-${train}-${val}-${size}-${digits}`;
  const made = await drawn(name, "make_canonical.py", ["--task", task, ...numbers, "--output"]);
  const names = readdirSync(made, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [relative(made, path), readFileSync(path)]));
}

/** The manifest goes up last, as the contract asks; an upload has none. */
export async function uploadDataset(objects: Objects, prefix: string, files: DatasetFiles): Promise<void> {
  const manifestLast = [...files].sort(([one], [other]) => Number(one === MANIFEST) - Number(other === MANIFEST));
  for (const [name, content] of manifestLast) await objects.put(prefix + name, content);
}

export function manifestOf(files: DatasetFiles): DatasetManifest {
  return JSON.parse(String(files.get(MANIFEST)));
}

/** The image files of one split, as they lie in its shard. */
export function imagesOf(files: DatasetFiles, split: string): Buffer[] {
  return samplesOf(files)
    .filter((sample) => sample.split === split)
    .map((sample) => Buffer.from(shardOf(files, sample).subarray(sample.offset, sample.offset + sample.bytes)));
}

/** One byte of the training images differs from what the manifest promises. */
export function withDamagedShard(files: DatasetFiles): DatasetFiles {
  const { shards } = manifestOf(files);
  const name = shards.find((shard) => shard.split === "train")?.name ?? "";
  const content = Buffer.from(files.get(name) ?? "");
  content[600] = (content[600] ?? 0) ^ 0xff;
  return new Map(files).set(name, content);
}

/** Says that it was made for another task. */
export function withOtherTask(files: DatasetFiles, task: TaskType): DatasetFiles {
  return withManifest(files, { ...manifestOf(files), task_type: task });
}

/** Classification with nothing to tell apart. */
export function withOneClass(files: DatasetFiles): DatasetFiles {
  const samples = samplesOf(files).map((sample) => ({ ...sample, label: 0 }));
  const manifest = manifestOf(files);
  const class_counts = Object.fromEntries(Object.entries(manifest.counts).map(([split, count]) => [split, [count]]));
  return withSamples(files, { ...manifest, classes: manifest.classes.slice(0, 1), class_counts }, samples);
}

/** Nothing to validate with. */
export function withoutValidation(files: DatasetFiles): DatasetFiles {
  const manifest = manifestOf(files);
  const { train = 0 } = manifest.counts;
  const shards = manifest.shards.filter((shard) => shard.split === "train");
  const class_counts = { train: manifest.class_counts.train ?? [] };
  const kept = samplesOf(files).filter((sample) => sample.split === "train");
  return withSamples(files, { ...manifest, shards, counts: { train }, class_counts }, kept);
}

/** Whole by every hash, but no image can be read: each file's bytes are overwritten. */
export function withUnreadableImages(files: DatasetFiles): DatasetFiles {
  const out = new Map(files);
  const samples = samplesOf(files).map((sample) => {
    const shard = Buffer.from(shardOf(out, sample));
    shard.fill("not an image. ", sample.offset, sample.offset + sample.bytes);
    out.set(sample.shard, shard);
    return { ...sample, sha256: sha256(shard.subarray(sample.offset, sample.offset + sample.bytes)) };
  });
  const manifest = manifestOf(files);
  const shards = manifest.shards.map((shard) => ({ ...shard, sha256: sha256(out.get(shard.name) ?? "") }));
  return withSamples(out, { ...manifest, shards }, samples);
}

/** The same images, with the classes in another order: another class map. */
export function withOtherClasses(files: DatasetFiles): DatasetFiles {
  const manifest = manifestOf(files);
  return withManifest(files, { ...manifest, classes: manifest.classes.map((name) => `other ${name}`) });
}

function samplesOf(files: DatasetFiles): Sample[] {
  const lines = gunzipSync(files.get(INDEX) ?? "")
    .toString("utf8")
    .split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}

function shardOf(files: DatasetFiles, sample: Sample): Buffer {
  return files.get(sample.shard) ?? Buffer.alloc(0);
}

function withManifest(files: DatasetFiles, manifest: DatasetManifest): DatasetFiles {
  return new Map(files).set(MANIFEST, Buffer.from(JSON.stringify(manifest)));
}

function withSamples(files: DatasetFiles, manifest: DatasetManifest, samples: Sample[]): DatasetFiles {
  const index = gzipSync(samples.map((sample) => `${JSON.stringify(sample)}\n`).join(""));
  const about = { ...manifest.samples, bytes: index.length, sha256: sha256(index), count: samples.length };
  return withManifest(new Map(files).set(INDEX, index), { ...manifest, samples: about });
}
