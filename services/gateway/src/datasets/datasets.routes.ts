import {
  completeUpload,
  createDataset,
  createUpload,
  getDataset,
  listDatasets,
} from "@vision-platform/contracts/api/datasets";
import type { Gateway } from "../gateway.ts";
import type { Routes } from "../http/router.ts";
import { datasetPage, datasetWithVersions, makeDataset } from "./datasets.service.ts";
import { beginUpload, finishUpload } from "./uploads.service.ts";

export function datasetsRoutes(routes: Routes, gateway: Gateway): void {
  const { db } = gateway;
  routes.add(createDataset, ({ db: work, user, body }) => makeDataset(work, user, body));
  routes.add(listDatasets, ({ user, query }) => datasetPage(db, user, query));
  routes.add(getDataset, ({ user, params }) => datasetWithVersions(db, user, params.dataset_id));

  routes.add(createUpload, ({ user, params, body }) => beginUpload(gateway, user, params.dataset_id, body));
  routes.add(completeUpload, ({ user, params, body, trace }) => finishUpload(gateway, user, params, body, trace));
}
