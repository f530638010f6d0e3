/** trainers/<framework>/trainer.json: a framework is data. */
import { z } from "zod";
import { JobKind } from "./job-state.ts";
import { TaskType } from "./storage-manifests.ts";

export const FrameworkName = z.string().regex(/^[a-z][a-z0-9_]{1,30}$/);

/** A published figure, and where it was read. */
const Figure = z.object({
  value: z.number(),
  unit: z.string().max(60),
  on: z.string().max(200),
  source: z.string().max(300),
});

/** JSON Schema 2020-12 of an object; defaults in it are applied. */
const JsonSchema = z.record(z.string(), z.unknown());

export const CatalogueModel = z
  .object({
    /** What a job names. */
    name: z.string().min(1).max(120),
    /** What people read. */
    title: z.string(),
    tasks: z.array(TaskType).min(1),
    params_m: z.number().min(0),
    /** Side of the square input in pixels. */
    input_size: z.int().min(1),
    /** SPDX, of the code. */
    license: z.string(),
    tags: z.array(z.string()),
    /** Whether weights exist that somebody has trained before. */
    pretrained: z.boolean(),
    /** SPDX or the publisher's own words, and where the weights come from. */
    weights: z.object({ license: z.string(), source: z.string().max(300), file: z.string().max(200) }).optional(),
    accuracy: Figure.optional(),
    speed: Figure.optional(),
    /** A good start for fine-tuning on one GPU with 16 GB. */
    recommended: z
      .object({ epochs: z.int().min(1), batch_size: z.int().min(1), learning_rate: z.number().gt(0) })
      .optional(),
    /** Estimated memory of a training with the recommended batch, in MiB. */
    memory_mb: z.int().min(1).optional(),
    /** Settings of this model alone: further properties of `config`. */
    hyperparameters: JsonSchema.optional(),
    notes: z.string().optional(),
  })
  .meta({ id: "CatalogueModel" });
export type CatalogueModel = z.infer<typeof CatalogueModel>;

export const KindManifest = z
  .object({
    /** `python` as the first word is the trainer's own environment. */
    command: z.array(z.string()).min(1),
    /** JSON Schema of `config` for evaluate, predict and export (train: `hyperparameters`). */
    options: JsonSchema.optional(),
  })
  .meta({ id: "KindManifest" });

export const TrainerManifest = z
  .object({
    contract_version: z.literal(1),
    framework: FrameworkName,
    title: z.string(),
    /** SPDX, of the trainer and of what it imports. */
    license: z.string(),
    /** `vision-platform-<framework>`: registry and tag are the installation's (IMAGE_REGISTRY, IMAGE_TAG). */
    image: z.string(),
    environment: z
      .object({
        /** The locked environment, relative to the trainer's folder. */
        lock: z.string(),
        /** Its image starts from the platform's torch layer, which the images of all such frameworks share. */
        torch: z.boolean().default(false),
        /** Debian packages that its image needs beside Python, such as git. */
        system_packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9.+-]*$/)).default([]),
      })
      .optional(),
    /** Off until an administrator names the framework in ENABLED_FRAMEWORKS. */
    enabled: z.boolean(),
    /** Why it is off, or what its licence asks for; shown wherever the framework is. */
    notice: z.string().max(1000).optional(),
    /** False: a tool for tests and authors, not shown to users unless it is enabled. */
    listed: z.boolean().default(true),
    resources: z
      .object({
        gpu: z.enum(["none", "optional", "required"]),
        /** Several GPUs of one host (NUM_PROCESSES). */
        multi_gpu: z.boolean(),
        min_memory_mb: z.int().min(1),
        shm_mb: z.int().min(0),
      })
      .optional(),
    kinds: z.partialRecord(JobKind, KindManifest),
    tasks: z.partialRecord(TaskType, z.object({ primary_metric: z.string(), direction: z.enum(["max", "min"]) })),
    /** JSON Schema of a training's `config`: titles, units (`x-unit`), ranges, defaults, `x-group` basic or advanced. */
    hyperparameters: JsonSchema,
    models: z.array(CatalogueModel),
  })
  .meta({ id: "TrainerManifest" });
export type TrainerManifest = z.infer<typeof TrainerManifest>;
/** As it is written: what has a default may be left out. */
export type TrainerManifestInput = z.input<typeof TrainerManifest>;
