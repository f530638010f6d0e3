/** The frameworks and models of this platform: trainers/<framework>/, read once at start. */
import type { Model } from "@vision-platform/contracts/api/models";
import type { JobKind } from "@vision-platform/contracts/job-state";
import type { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { type ConfigCheck, compileConfigCheck } from "./config-check.ts";
import { settingsSchema } from "./settings-schema.ts";
import { readTrainers, type TrainerFiles } from "./trainer-files.ts";

export interface Catalogue {
  /** The framework's manifest, also of one that is off: `enabled` says what holds here. */
  manifest(framework: string): TrainerManifest | undefined;
  manifests(): TrainerManifest[];
  /** Also one from beyond the framework's catalogue. */
  model(framework: string, name: string): Model | undefined;
  /** Of the frameworks that are on; with `all` also what `framework` knows beyond its catalogue. */
  models(filter?: { framework?: string | undefined; all?: boolean }): Model[];
  /**
   * Checks a job's `config` by the schema of its kind, framework and model. Answers with the config and its defaults, and
   * with one entry for each wrong field, its pointer inside the config. Throws when there is no such framework.
   */
  validateConfig(job: ConfigOwner, config: Record<string, unknown>): ConfigCheck;
}

export interface ConfigOwner {
  framework: string;
  model_name: string;
  kind: JobKind;
}

type Check = ReturnType<typeof compileConfigCheck>;
interface Trainer {
  manifest: TrainerManifest;
  models: Map<string, Model>;
  further: Map<string, Model>;
  /** By kind, and by kind and model where the model has settings of its own. */
  checks: Map<string, Check>;
}

/**
 * `enabled` turns frameworks on that are off by themselves. Rejects with the file and the field when a manifest or a schema
 * in it is wrong, and with the name when `enabled` holds one that is not there.
 */
export async function loadCatalogue(trainersDir: string, enabled: readonly string[] = []): Promise<Catalogue> {
  const files = await readTrainers(trainersDir);
  const trainers = new Map(files.map((file) => [file.manifest.framework, trainerOf(file, enabled)]));
  if (trainers.size < files.length) throw new Error(`two trainers in ${trainersDir} have the same framework name`);
  const unknown = enabled.filter((name) => !trainers.has(name));
  if (unknown.length > 0) {
    const known = [...trainers.keys()].join(", ");
    throw new Error(`ENABLED_FRAMEWORKS: there is no framework ${unknown.join(", ")}; there are ${known}`);
  }
  const find = (framework: string, name: string) => {
    const trainer = trainers.get(framework);
    return trainer?.models.get(name) ?? trainer?.further.get(name);
  };
  return {
    manifest: (framework) => trainers.get(framework)?.manifest,
    manifests: () => [...trainers.values()].map(({ manifest }) => manifest),
    model: find,
    models: ({ framework, all = false } = {}) =>
      [...trainers.values()]
        .filter(({ manifest }) => manifest.enabled && (framework === undefined || manifest.framework === framework))
        .flatMap(({ models, further }) => [...models.values(), ...(all ? further.values() : [])]),
    validateConfig({ framework, model_name, kind }, config) {
      const checks = trainers.get(framework)?.checks;
      const check = checks?.get(`${kind}/${model_name}`) ?? checks?.get(kind);
      if (check === undefined) throw new Error(`${framework} has no jobs of kind ${kind}`);
      return check(config);
    },
  };
}

function trainerOf({ manifest: written, furtherModels }: TrainerFiles, enabled: readonly string[]): Trainer {
  const manifest = { ...written, enabled: written.enabled || enabled.includes(written.framework) };
  const { framework } = manifest;
  const named = (models: TrainerManifest["models"]) =>
    new Map(models.map((model) => [model.name, { ...model, framework }]));
  const models = named(manifest.models);
  const further = named(furtherModels);
  const checks = new Map<string, Check>();
  for (const kind of Object.keys(manifest.kinds) as JobKind[]) {
    checks.set(kind, compileConfigCheck(framework, kind, settingsSchema(manifest, kind, undefined)));
  }
  if (manifest.kinds.train !== undefined) {
    for (const model of [...models.values(), ...further.values()]) {
      if (model.hyperparameters === undefined) continue;
      const schema = settingsSchema(manifest, "train", model);
      checks.set(`train/${model.name}`, compileConfigCheck(framework, model.name, schema));
    }
  }
  return { manifest, models, further, checks };
}
