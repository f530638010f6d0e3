import { z } from "zod";
import { TaskType } from "../storage-manifests.ts";
import { CatalogueModel, FrameworkName } from "../trainer-manifest.ts";
import { operation } from "./operation.ts";

export const Model = CatalogueModel.extend({ framework: FrameworkName }).meta({ id: "Model" });
export type Model = z.infer<typeof Model>;

export const listModels = operation({
  id: "listModels",
  method: "get",
  path: "/api/v1/models/list",
  access: "user",
  tag: "models",
  summary: "The models that can be trained",
  query: z.object({
    framework: FrameworkName.optional(),
    task: TaskType.optional(),
    /** Comma-separated; a model must carry all of them. */
    tags: z.string().max(300).optional(),
  }),
  status: 200,
  response: z.object({ items: z.array(Model) }),
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
  response: Model.extend({ hyperparameters: z.record(z.string(), z.unknown()) }),
  problems: [404],
});
