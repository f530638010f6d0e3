import { notFound } from "@vision-platform/common/app-error";
import { getModel, listModels } from "@vision-platform/contracts/api/models";
import type { Gateway } from "../gateway.ts";
import type { Routes } from "../http/router.ts";

export function modelsRoutes(routes: Routes, { catalogue }: Gateway): void {
  routes.add(listModels, async ({ query }) => {
    const tags = (query.tags ?? "")
      .split(",")
      .map((tag) => tag.trim())
      .filter((tag) => tag !== "");
    const items = catalogue
      .models()
      .filter((model) => query.framework === undefined || model.framework === query.framework)
      .filter((model) => query.task === undefined || model.tasks.includes(query.task))
      .filter((model) => tags.every((tag) => model.tags.includes(tag)));
    return { items };
  });
  routes.add(getModel, async ({ params }) => {
    const model = catalogue.model(params.framework, params.model_name);
    const manifest = catalogue.manifest(params.framework);
    if (model === undefined || manifest === undefined) throw notFound("Model not found");
    return { ...model, hyperparameters: manifest.hyperparameters };
  });
}
