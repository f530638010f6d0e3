/** The JSON Schema that a job's `config` must fit: the framework's, with what the model adds, or that of another kind. */
import type { JobKind } from "@vision-platform/contracts/job-state";
import type { CatalogueModel, TrainerManifest } from "@vision-platform/contracts/trainer-manifest";

export type JsonSchema = Record<string, unknown>;

/** A kind without declared settings takes none. */
const NO_SETTINGS: JsonSchema = { type: "object", additionalProperties: false };

/** A training's: the properties and required names of the model's own schema are added to the framework's. */
export function trainingSettings(manifest: TrainerManifest, model: CatalogueModel | undefined): JsonSchema {
  const common = manifest.hyperparameters;
  const own = model?.hyperparameters;
  if (own === undefined) return common;
  const required = [...listOf(common.required), ...listOf(own.required)];
  return {
    ...common,
    properties: { ...objectOf(common.properties), ...objectOf(own.properties) },
    ...(required.length > 0 ? { required: [...new Set(required)] } : {}),
    ...(own.$defs === undefined ? {} : { $defs: { ...objectOf(common.$defs), ...objectOf(own.$defs) } }),
  };
}

/** Of a job of this kind. */
export function settingsSchema(
  manifest: TrainerManifest,
  kind: JobKind,
  model: CatalogueModel | undefined,
): JsonSchema {
  return kind === "train" ? trainingSettings(manifest, model) : (manifest.kinds[kind]?.options ?? NO_SETTINGS);
}

/** The settings of what can be done with a trained model, by kind. */
export function derivedSettings(manifest: TrainerManifest): Record<string, JsonSchema> {
  const kinds = (["evaluate", "predict", "export"] as const).filter((kind) => manifest.kinds[kind] !== undefined);
  return Object.fromEntries(kinds.map((kind) => [kind, settingsSchema(manifest, kind, undefined)]));
}

function objectOf(value: unknown): JsonSchema {
  return typeof value === "object" && value !== null ? (value as JsonSchema) : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
