import { z } from "zod";
import { JobKind } from "../job-state.ts";
import { WEIGHTS_SUFFIXES } from "../names.ts";
import { TaskType } from "../storage-manifests.ts";
import { CatalogueModel, FrameworkName } from "../trainer-manifest.ts";
import { operation, Timestamp } from "./operation.ts";

export const Model = CatalogueModel.extend({ framework: FrameworkName }).meta({ id: "Model" });
export type Model = z.infer<typeof Model>;

export const listModels = operation({
  id: "listModels",
  method: "get",
  path: "/api/v1/models/list",
  access: "user",
  tag: "models",
  summary: "The models that can be trained",
  query: z
    .object({
      framework: FrameworkName.optional(),
      task: TaskType.optional(),
      /** Comma-separated; a model must carry all of them. */
      tags: z.string().max(300).optional(),
      /** Also what the framework knows beyond this catalogue (needs `framework`): for timm every architecture. */
      all: z.enum(["true", "false"]).default("false"),
      /** Part of the name or title. */
      search: z.string().max(120).optional(),
      limit: z.coerce.number().int().min(1).max(2000).default(2000),
    })
    .refine((query) => query.all === "false" || query.framework !== undefined, {
      path: ["framework"],
      message: "required together with all=true",
    }),
  status: 200,
  /** `total`: how many there are, also beyond `limit`. */
  response: z.object({ items: z.array(Model), total: z.int() }),
});
export const getModel = operation({
  id: "getModel",
  method: "get",
  path: "/api/v1/models/{framework}/{model_name}",
  access: "user",
  tag: "models",
  summary: "One model with the hyper-parameters its trainer takes (JSON Schema)",
  params: z.object({ framework: FrameworkName, model_name: z.string().max(120) }),
  status: 200,
  response: Model.extend({
    hyperparameters: z.record(z.string(), z.unknown()),
    /** The settings of evaluate, predict and export, by kind. */
    options: z.record(z.string(), z.record(z.string(), z.unknown())),
  }),
  problems: [404],
});

export const Framework = z
  .object({
    framework: FrameworkName,
    title: z.string(),
    license: z.string(),
    enabled: z.boolean(),
    /** Why it is off, or what its licence asks for. */
    notice: z.string().nullable(),
    kinds: z.array(JobKind),
    tasks: z.partialRecord(TaskType, z.object({ primary_metric: z.string(), direction: z.enum(["max", "min"]) })),
    models: z.int(),
    /** Workers heard of within the last seconds. */
    workers: z.int(),
  })
  .meta({ id: "Framework" });
export type Framework = z.infer<typeof Framework>;
export const listFrameworks = operation({
  id: "listFrameworks",
  method: "get",
  path: "/api/v1/frameworks",
  access: "user",
  tag: "models",
  summary: "The frameworks, also those that are off, and why",
  status: 200,
  response: z.object({ items: z.array(Framework) }),
});

export const createWeightsUpload = operation({
  id: "createWeightsUpload",
  method: "post",
  path: "/api/v1/models/{framework}/{model_name}/weights",
  access: "user",
  tag: "models",
  summary: "A presigned URL for pretrained weights (administrators only: trainers load this file)",
  params: z.object({ framework: FrameworkName, model_name: z.string().max(120) }),
  body: z.object({
    suffix: z.enum(WEIGHTS_SUFFIXES),
    bytes: z
      .int()
      .min(1)
      .max(5 * 1024 ** 3),
    /** Of the file; kept with it and checked by the trainer that loads it. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  status: 201,
  response: z.object({
    url: z.string(),
    /** To be sent along with the PUT. */
    headers: z.record(z.string(), z.string()),
    uri: z.string(),
    expires_at: Timestamp,
  }),
  problems: [403, 404, 409],
});
