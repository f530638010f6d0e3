/** A folder of images as one zip file, written as it is read. */
import { createWriteStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { ZipFile } from "yazl";
import { UsageError } from "../output/failure.ts";

export interface FolderFile {
  path: string;
  /** Name inside the zip, with forward slashes. */
  name: string;
  bytes: number;
}

/** Names that operating systems leave behind, and hidden files: never part of a dataset. */
function isClutter(name: string): boolean {
  return name.startsWith(".") || name === "__MACOSX" || name === "Thumbs.db" || name === "desktop.ini";
}

/** The files of a folder in a fixed order; links are left out, because they can lead anywhere. */
export async function filesOf(folder: string): Promise<{ files: FolderFile[]; links: number }> {
  const files: FolderFile[] = [];
  let links = 0;
  async function walk(at: string): Promise<void> {
    const entries = await readdir(at, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(at, entry.name);
      if (isClutter(entry.name)) continue;
      if (entry.isSymbolicLink()) links += 1;
      else if (entry.isDirectory()) await walk(path);
      else if (entry.isFile())
        files.push({ path, name: relative(folder, path).split(sep).join("/"), bytes: (await stat(path)).size });
    }
  }
  await walk(folder);
  if (files.length === 0) throw new UsageError(`${folder} holds no files`);
  return { files, links };
}

/** Stored, not compressed: images are compressed already. `onBytes` gets what was written since the last call. */
export async function writeZip(
  files: readonly FolderFile[],
  target: string,
  onBytes: (count: number) => void,
): Promise<void> {
  const zip = new ZipFile();
  // One after the other: yazl opens a file only when it comes to it.
  for (const { path, name } of files) zip.addFile(path, name, { compress: false });
  zip.end();
  const failed = new Promise<never>((_, reject) => zip.on("error", reject));
  zip.outputStream.on("data", (chunk: Buffer) => onBytes(chunk.length));
  await Promise.race([pipeline(zip.outputStream, createWriteStream(target, { mode: 0o600 })), failed]);
}
