/** Uploads for an ingest: zips of real digits in a format that people use. */
import { readFileSync } from "node:fs";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import type { UploadSettings } from "../trainer-folder.ts";
import type { DatasetFiles } from "./datasets.ts";
import { drawn } from "./drawing.ts";

/** Under which name an upload lies in its place. */
export const UPLOAD = "upload.zip";

/** `damaged`: so many images in it are broken. */
export async function drawUpload(task: TaskType, settings: UploadSettings, damaged = 0): Promise<DatasetFiles> {
  const { format, count, size, digits } = settings;
  const numbers = ["--count", count, "--size", size, "--digits", digits, "--damage", damaged];
  const name = `${task}-${format}-${count}-${size}-${digits}-${damaged}.zip`;
  const zip = await drawn(name, "make_upload.py", ["--task", task, "--format", format, ...numbers, "--out"]);
  return uploadOf(readFileSync(zip));
}

export function uploadOf(content: Buffer): DatasetFiles {
  return new Map([[UPLOAD, content]]);
}
