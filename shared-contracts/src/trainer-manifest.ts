/** trainers/<framework>/trainer.json: a framework is data. */
import { z } from "zod";
import { JobKind } from "./job-state.ts";
import { TaskType } from "./storage-manifests.ts";

export const FrameworkName = z.string().regex(/^[a-z][a-z0-9_]{1,30}$/);

export const CatalogueModel = z
  .object({
    name: z.string().min(1).max(120),
    title: z.string(),
    tasks: z.array(TaskType).min(1),
    params_m: z.number().min(0),
    input_size: z.int().min(1),
    license: z.string(),
    tags: z.array(z.string()),
    pretrained: z.boolean(),
    notes: z.string().optional(),
  })
  .meta({ id: "CatalogueModel" });
export type CatalogueModel = z.infer<typeof CatalogueModel>;

export const TrainerManifest = z
  .object({
    contract_version: z.literal(1),
    framework: FrameworkName,
    title: z.string(),
    license: z.string(),
    image: z.string(),
    enabled: z.boolean(),
    kinds: z.partialRecord(JobKind, z.object({ command: z.array(z.string()).min(1) })),
    tasks: z.partialRecord(TaskType, z.object({ primary_metric: z.string(), direction: z.enum(["max", "min"]) })),
    /** JSON Schema 2020-12 of `config`; defaults in it are applied. */
    hyperparameters: z.record(z.string(), z.unknown()),
    models: z.array(CatalogueModel),
  })
  .meta({ id: "TrainerManifest" });
export type TrainerManifest = z.infer<typeof TrainerManifest>;
