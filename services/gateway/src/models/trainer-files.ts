/** What lies in trainers/<framework>/: the manifest, and the list of models beyond its catalogue where there is one. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CatalogueModel, TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { z } from "zod";

/** Everything a framework brings along. */
export interface TrainerFiles {
  manifest: TrainerManifest;
  /** all-models.json: models that a job may name although the manifest does not; empty without such a file. */
  furtherModels: CatalogueModel[];
}

/** A list that is longer was not made for this. */
const MAX_FILE_BYTES = 8 * 1024 ** 2;

/** Each folder with a trainer.json, by name. Rejects with the file and the field when one is wrong. */
export async function readTrainers(trainersDir: string): Promise<TrainerFiles[]> {
  const folders = (await readdir(trainersDir)).sort();
  const found = await Promise.all(folders.map((folder) => readTrainer(join(trainersDir, folder))));
  return found.filter((trainer) => trainer !== undefined);
}

async function readTrainer(folder: string): Promise<TrainerFiles | undefined> {
  const manifest = await readJson(join(folder, "trainer.json"), TrainerManifest, "trainer manifest");
  if (manifest === undefined) return undefined;
  const listed = await readJson(join(folder, "all-models.json"), z.array(CatalogueModel), "list of models");
  const known = new Set(manifest.models.map(({ name }) => name));
  return { manifest, furtherModels: (listed ?? []).filter(({ name }) => !known.has(name)) };
}

/** Undefined when the file is not there. */
async function readJson<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  what: string,
): Promise<z.output<Schema> | undefined> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw new Error(`${path} has ${size} bytes; at most ${MAX_FILE_BYTES} are allowed`);
    text = await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(String((error as NodeJS.ErrnoException).code))) return undefined;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(`${path} is not a valid ${what}: ${error instanceof z.ZodError ? z.prettifyError(error) : error}`);
  }
}
