/** A dataset version against what it says of itself. */
import { isDeepStrictEqual } from "node:util";
import { gunzipSync } from "node:zlib";
import { DatasetManifest, DatasetSample } from "@vision-platform/contracts/storage-manifests";
import type { z } from "zod";
import type { Lab } from "../lab.ts";
import type { DatasetFiles } from "../platform/datasets.ts";
import { sha256 } from "../platform/objects.ts";
import type { Job } from "../runs/environment.ts";
import { when } from "./requirement.ts";

/** What is wrong with the version that `job` made of the lab's upload, in one sentence each. */
export function versionProblems(lab: Lab, job: Job, files: DatasetFiles): string[] {
  const content = files.get("MANIFEST.json");
  if (content === undefined) return ["there is no MANIFEST.json"];
  const parsed = DatasetManifest.safeParse(parse(content));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return [`MANIFEST.json does not conform: ${issue?.path.join(".")}: ${issue?.message}`];
  }
  const manifest = parsed.data;
  const promised = [manifest.samples, ...manifest.shards];
  const named = ["MANIFEST.json", ...promised.map(({ name }) => name)];
  const stray = [...files.keys()].filter((name) => !named.includes(name));
  const broken = promised.filter(({ name, bytes, sha256: hash }) => {
    const found = files.get(name);
    return found === undefined || found.length !== bytes || sha256(found) !== hash;
  });
  return [
    ...when(manifest.dataset_id !== job.job_id || manifest.version !== 1, "MANIFEST.json is of another version"),
    ...when(manifest.task_type !== lab.task, `MANIFEST.json is of the task ${manifest.task_type}`),
    ...when(stray.length > 0, `MANIFEST.json does not name ${stray.join(", ")}`),
    ...broken.map(({ name }) => `${name} is not what MANIFEST.json says`),
    ...(broken.length === 0 ? sampleProblems(lab, manifest, files) : []),
  ];
}

function sampleProblems(lab: Lab, manifest: DatasetManifest, files: DatasetFiles): string[] {
  const lines = gunzipSync(files.get(manifest.samples.name) ?? "")
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "");
  const samples = lines.map((line) => DatasetSample.safeParse(parse(line)).data);
  const counts: Record<string, number> = {};
  for (const split of samples.map((sample) => sample?.split ?? "")) counts[split] = (counts[split] ?? 0) + 1;
  const misplaced = samples.filter((sample) => sample && !liesThere(sample, files));
  return [
    ...when(samples.includes(undefined), `a line of ${manifest.samples.name} does not conform`),
    ...when(lines.length !== manifest.samples.count, `${lines.length} lines, not ${manifest.samples.count}`),
    ...when(lines.length !== lab.upload.count, `${lines.length} samples of an upload with ${lab.upload.count} images`),
    ...when(!isDeepStrictEqual(counts, { ...manifest.counts }), "counts are not those of the index"),
    ...when(misplaced.length > 0, `${misplaced[0]?.id} is not where the index says`),
  ];
}

/** Whether the image, and its mask where it has one, are at their places in the shard. */
function liesThere({ shard, mask, ...image }: z.infer<typeof DatasetSample>, files: DatasetFiles): boolean {
  return [image, ...(mask ? [mask] : [])].every(({ offset, bytes, sha256: hash }) => {
    return sha256(files.get(shard)?.subarray(offset, offset + bytes) ?? "") === hash;
  });
}

function parse(content: Buffer | string): unknown {
  try {
    return JSON.parse(content.toString());
  } catch {
    return null;
  }
}
