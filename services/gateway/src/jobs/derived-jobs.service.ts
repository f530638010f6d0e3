/** evaluate, predict and export: jobs that take the model of a training. */
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import { conflict, invalid, notFound } from "@vision-platform/common/app-error";
import type { Trace } from "@vision-platform/common/trace";
import type { Job, createDerivedJob as operation } from "@vision-platform/contracts/api/jobs";
import type { BodyOf } from "@vision-platform/contracts/api/operation";
import { checkpointPointerKey } from "@vision-platform/contracts/names";
import type { JobRow } from "../db/schema.ts";
import { whyOff } from "../models/frameworks.service.ts";
import { checkImages, requireTraining } from "./image-uploads.ts";
import type { JobsCatalogue, JobsGateway } from "./job-parts.ts";
import {
  checkConfig,
  checkData,
  type FieldError,
  jsonBytes,
  MAX_CONFIG_BYTES,
  primaryMetricOf,
  textErrors,
} from "./job-spec.ts";
import { presentNewJob } from "./job-view.repository.ts";
import { findAdmission } from "./jobs.repository.ts";
import { announceNewJob, type Caller, requireJob } from "./jobs.service.ts";
import { findObject } from "./stored-objects.ts";
import { insertJob } from "./transition.repository.ts";

type DerivedRequest = BodyOf<typeof operation>;

const NAMES = { evaluate: "Evaluation", predict: "Prediction", export: "Export" } as const;

/**
 * A job that works with a checkpoint of the training `job_id`. Throws 404 and 403 as for that training, 409 when it is no
 * training or has no such checkpoint, 422 with every wrong field, 503 while the storage does not answer.
 */
export async function createDerivedJob(
  gateway: JobsGateway,
  caller: Caller & { trace: Trace },
  job_id: number,
  request: DerivedRequest,
): Promise<Job> {
  const { db, user, trace } = caller;
  const source = await requireJob(caller, job_id, "editor");
  requireTraining(source);
  const { project_id, framework, model_name, task_type, seed, min_vram_gb } = source;
  const { kind, batch_size, checkpoint, notes, tags, start } = request;
  const dataset = datasetOf(request, source);
  const admission = await findAdmission(db, user.user_id, { project_id, framework, start, ...dataset });
  if (!admission) throw notFound("Project not found");
  const settings = checkConfig({ kind, framework, model_name }, request.config, gateway.catalogue);
  const images = await checkImages(gateway, job_id, request.images ?? []);
  const config = { ...settings.config, ...(request.images === undefined ? {} : { images: images.uris }) };
  const errors = [
    ...checkKind(source, kind, gateway.catalogue),
    ...checkData({ project_id, task_type, ...dataset }, admission.data, "/dataset_id"),
    ...settings.errors,
    ...checkImageUse(request, config),
    ...images.errors,
    ...textErrors(request),
  ];
  if (errors.length > 0) throw invalid(errors);
  await requireCheckpoint(gateway, job_id, checkpoint);

  const { job, events } = await insertJob(
    db,
    {
      ...{
        project_id,
        framework,
        model_name,
        task_type,
        seed,
        min_vram_gb,
        kind,
        batch_size,
        config,
        checkpoint,
        ...trace,
      },
      ...primaryMetricOf(gateway.catalogue, source),
      ...(notes === undefined ? {} : { notes }),
      ...(tags === undefined ? {} : { tags }),
      name: request.name ?? `${NAMES[kind]} of ${source.name}`.slice(0, 200),
      source_job_id: job_id,
      dataset_id: dataset.dataset_id,
      dataset_version: admission.data?.version as number,
      // Nothing is learned: the worker leaves these out of the trainer's environment.
      ...{ epochs: 0, learning_rate: 0 },
      created_by: user.user_id,
    },
    start,
  );
  announceNewJob(gateway, caller, job, events);
  return presentNewJob(job, admission.waiting);
}

/** Without a word about it the very version that the model was trained with. */
function datasetOf({ dataset_id, dataset_version }: DerivedRequest, source: JobRow) {
  if (dataset_id === undefined && dataset_version === undefined)
    return { dataset_id: source.dataset_id, dataset_version: source.dataset_version };
  return { dataset_id: dataset_id ?? source.dataset_id, dataset_version };
}

function checkKind({ framework }: JobRow, kind: DerivedRequest["kind"], catalogue: JobsCatalogue): FieldError[] {
  const manifest = catalogue.manifest(framework);
  if (manifest === undefined) return [{ pointer: "/kind", detail: `the framework ${framework} is no longer there` }];
  if (!manifest.enabled) return [{ pointer: "/kind", detail: whyOff(manifest) }];
  return manifest.kinds[kind] === undefined
    ? [{ pointer: "/kind", detail: `${framework} has no jobs of kind ${kind}` }]
    : [];
}

function checkImageUse(request: DerivedRequest, config: object): FieldError[] {
  if (request.images === undefined) return [];
  if (request.kind !== "predict") return [{ pointer: "/images", detail: "only a predict job takes images" }];
  if (request.dataset_id !== undefined || request.dataset_version !== undefined)
    return [{ pointer: "/images", detail: "give images or a dataset, not both" }];
  if (jsonBytes(config) > MAX_CONFIG_BYTES)
    return [{ pointer: "/images", detail: `with their addresses the config is larger than ${MAX_CONFIG_BYTES} bytes` }];
  return [];
}

/** Its manifest and files are the trainer's to verify; here it must be there at all. */
async function requireCheckpoint(
  { s3, config }: JobsGateway,
  job_id: number,
  checkpoint: DerivedRequest["checkpoint"],
): Promise<void> {
  const Key = checkpointPointerKey(job_id, checkpoint);
  const pointer = await findObject(() => s3.send(new HeadObjectCommand({ Bucket: config.STORAGE_BUCKET, Key })));
  if (pointer === undefined) {
    const why = "it is written while the training goes on, and kept whatever becomes of it";
    throw conflict(`Training job ${job_id} has no '${checkpoint}' checkpoint; ${why}`, "no_checkpoint");
  }
}
