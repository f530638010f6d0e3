/** /api/v1/models and /api/v1/frameworks */
import { notFound } from "@vision-platform/common/app-error";
import { createWeightsUpload, getModel, listFrameworks, listModels } from "@vision-platform/contracts/api/models";
import type { Gateway } from "../gateway.ts";
import type { Routes } from "../http/router.ts";
import { presentFrameworks, whyOff } from "./frameworks.service.ts";
import { derivedSettings, trainingSettings } from "./settings-schema.ts";
import { beginWeightsUpload } from "./weights-upload.ts";

/** Binds the operations on frameworks and models. */
export function modelsRoutes(routes: Routes, gateway: Gateway): void {
  const { catalogue } = gateway;
  routes.add(listFrameworks, async ({ db }) => ({ items: await presentFrameworks(db, catalogue) }));
  routes.add(listModels, async ({ query }) => {
    const { framework, task, limit } = query;
    const tags = (query.tags ?? "")
      .split(",")
      .map((tag) => tag.trim())
      .filter((tag) => tag !== "");
    const search = query.search?.trim().toLowerCase() ?? "";
    const found = catalogue
      .models({ framework, all: query.all === "true" })
      .filter((model) => task === undefined || model.tasks.includes(task))
      .filter((model) => tags.every((tag) => model.tags.includes(tag)))
      .filter((model) => `${model.name}\n${model.title}`.toLowerCase().includes(search));
    return { items: found.slice(0, limit), total: found.length };
  });
  routes.add(getModel, async ({ params }) => {
    const manifest = catalogue.manifest(params.framework);
    if (manifest !== undefined && !manifest.enabled) throw notFound(whyOff(manifest), "framework_off");
    const model = catalogue.model(params.framework, params.model_name);
    if (model === undefined || manifest === undefined) throw notFound("Model not found");
    return { ...model, hyperparameters: trainingSettings(manifest, model), options: derivedSettings(manifest) };
  });
  routes.add(
    createWeightsUpload,
    async ({ user, params, body }) => await beginWeightsUpload(gateway, user, params, body),
  );
}
