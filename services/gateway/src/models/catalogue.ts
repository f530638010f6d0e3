/** The frameworks and models this platform can train: trainers/<framework>/trainer.json, read once at start. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Model } from "@vision-platform/contracts/api/models";
import { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { z } from "zod";
import { type ConfigCheck, compileConfigCheck } from "./config-check.ts";

export interface Catalogue {
  /** The framework's manifest; undefined when there is none or it is disabled. */
  manifest(framework: string): TrainerManifest | undefined;
  manifests(): TrainerManifest[];
  model(framework: string, name: string): Model | undefined;
  models(): Model[];
  /**
   * Checks a job's `config` by the framework's own JSON Schema. Answers with the config and its defaults, and with one
   * entry for each wrong field, its pointer inside the config. Throws when there is no such framework.
   */
  validateConfig(framework: string, config: Record<string, unknown>): ConfigCheck;
}

async function readManifest(path: string): Promise<TrainerManifest | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(String((error as NodeJS.ErrnoException).code))) return undefined;
    throw error;
  }
  try {
    return TrainerManifest.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(
      `${path} is not a valid trainer manifest: ${error instanceof z.ZodError ? z.prettifyError(error) : error}`,
    );
  }
}

/** Rejects with the file and the field when a manifest or its hyper-parameter schema is wrong. */
export async function loadCatalogue(trainersDir: string): Promise<Catalogue> {
  const folders = (await readdir(trainersDir)).sort();
  const found = await Promise.all(folders.map((folder) => readManifest(join(trainersDir, folder, "trainer.json"))));
  const enabled = found.filter((manifest) => manifest?.enabled === true) as TrainerManifest[];
  const byFramework = new Map(enabled.map((manifest) => [manifest.framework, manifest]));
  if (byFramework.size < enabled.length) throw new Error(`two trainers in ${trainersDir} have the same framework name`);
  const checks = new Map(enabled.map((manifest) => [manifest.framework, compileConfigCheck(manifest)]));
  const all = enabled.flatMap(({ framework, models }) => models.map((model): Model => ({ ...model, framework })));
  const byName = new Map(all.map((model) => [`${model.framework}/${model.name}`, model]));
  return {
    manifest: (framework) => byFramework.get(framework),
    manifests: () => enabled,
    model: (framework, name) => byName.get(`${framework}/${name}`),
    models: () => all,
    validateConfig(framework, config) {
      const check = checks.get(framework);
      if (check === undefined) throw new Error(`unknown framework ${framework}`);
      return check(config);
    },
  };
}
