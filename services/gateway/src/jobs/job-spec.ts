/** Checks what a person asks a training to do against the dataset, the catalogue and the trainer's own schema. */
import { invalid } from "@vision-platform/common/app-error";
import type { createJob } from "@vision-platform/contracts/api/jobs";
import type { BodyOf } from "@vision-platform/contracts/api/operation";
import { storable } from "../events/storable-json.ts";
import type { ConfigOwner } from "../models/catalogue.ts";
import type { ConfigCheck } from "../models/config-check.ts";
import { whyOff } from "../models/frameworks.service.ts";
import type { JobsCatalogue } from "./job-parts.ts";
import type { TrainingData } from "./jobs.repository.ts";

export type JobRequest = BodyOf<typeof createJob>;
export interface FieldError {
  pointer: string;
  detail: string;
}

/** CONFIG_JSON of the trainer contract. */
export const MAX_CONFIG_BYTES = 32 * 1024;

export interface CheckedSpec {
  dataset_version: number;
  /** With the schema's defaults applied. */
  config: Record<string, unknown>;
  primary_metric: string | null;
  metric_direction: "max" | "min" | null;
}

/** Throws 422 with every wrong field at once. */
export function checkSpec(request: JobRequest, data: TrainingData | undefined, catalogue: JobsCatalogue): CheckedSpec {
  const settings = checkConfig({ ...request, kind: "train" }, request.config, catalogue);
  const errors = [
    ...checkData(request, data),
    ...checkModel(request, catalogue),
    ...checkGpus(request, catalogue),
    ...settings.errors,
    ...textErrors(request),
  ];
  if (errors.length > 0) throw invalid(errors);
  return {
    dataset_version: data?.version as number,
    config: settings.config,
    ...primaryMetricOf(catalogue, request),
  };
}

/** The metric that says how good a model of this task is, as the framework's manifest has it now. */
export function primaryMetricOf(
  catalogue: JobsCatalogue,
  { framework, task_type }: Pick<JobRequest, "framework" | "task_type">,
): Pick<CheckedSpec, "primary_metric" | "metric_direction"> {
  const task = catalogue.manifest(framework)?.tasks[task_type];
  return { primary_metric: task?.primary_metric ?? null, metric_direction: task?.direction ?? null };
}

/** The dataset must be one of the project, of the task, with the version asked for (or any) READY. */
export function checkData(
  request: Pick<JobRequest, "project_id" | "dataset_id" | "dataset_version" | "task_type">,
  data: TrainingData | undefined,
  /** The field that is wrong when the tasks differ. */
  taskPointer = "/task_type",
): FieldError[] {
  if (!data || data.project_id !== request.project_id) {
    return [{ pointer: "/dataset_id", detail: `there is no dataset ${request.dataset_id} in this project` }];
  }
  const errors: FieldError[] = [];
  const asked = request.dataset_version;
  if (data.version === null && asked === undefined) {
    errors.push({ pointer: "/dataset_id", detail: "the dataset has no version that is READY" });
  } else if (data.version === null) {
    errors.push({ pointer: "/dataset_version", detail: `the dataset has no version ${asked}` });
  } else if (data.state !== "READY") {
    errors.push({ pointer: "/dataset_version", detail: `version ${data.version} is ${data.state}, not READY` });
  }
  if (data.task_type !== request.task_type) {
    errors.push({ pointer: taskPointer, detail: `the dataset is for ${data.task_type}, not ${request.task_type}` });
  }
  return errors;
}

function checkModel({ framework, model_name, task_type }: JobRequest, catalogue: JobsCatalogue): FieldError[] {
  const manifest = catalogue.manifest(framework);
  if (manifest?.enabled === false) return [{ pointer: "/framework", detail: whyOff(manifest) }];
  if (manifest?.kinds.train === undefined) {
    return [{ pointer: "/framework", detail: `there is no framework ${framework} that trains` }];
  }
  const model = catalogue.model(framework, model_name);
  const errors: FieldError[] = [];
  if (!model) errors.push({ pointer: "/model_name", detail: `${framework} has no model ${model_name}` });
  if (manifest.tasks[task_type] === undefined) {
    errors.push({ pointer: "/task_type", detail: `${framework} does not do ${task_type}` });
  } else if (model && !model.tasks.includes(task_type)) {
    errors.push({ pointer: "/task_type", detail: `${model_name} does not do ${task_type}` });
  }
  return errors;
}

function checkGpus({ framework, gpus, batch_size }: JobRequest, catalogue: JobsCatalogue): FieldError[] {
  const manifest = catalogue.manifest(framework);
  if (gpus === 1 || !manifest?.enabled) return [];
  if (!manifest.resources?.multi_gpu) return [{ pointer: "/gpus", detail: `${framework} trains on one GPU only` }];
  if (batch_size % gpus === 0) return [];
  return [{ pointer: "/batch_size", detail: `must be a multiple of gpus (${gpus}): each gets the same share` }];
}

/** The config with its defaults, and what is wrong with it by pointers into the request. */
export function checkConfig(
  job: ConfigOwner,
  config: Record<string, unknown>,
  catalogue: JobsCatalogue,
): ConfigCheck & { errors: FieldError[] } {
  const tooLarge = () => ({
    config,
    errors: [{ pointer: "/config", detail: `larger than ${MAX_CONFIG_BYTES} bytes` }],
  });
  if (jsonBytes(config) > MAX_CONFIG_BYTES) return tooLarge();
  // What has no such kind is refused for that.
  if (catalogue.manifest(job.framework)?.kinds[job.kind] === undefined) return { config, errors: [] };
  const checked = catalogue.validateConfig(job, config);
  if (jsonBytes(checked.config) > MAX_CONFIG_BYTES) return tooLarge();
  return {
    config: checked.config,
    errors: checked.errors.map((error) => ({ ...error, pointer: `/config${error.pointer}` })),
  };
}

/** Length of the value as CONFIG_JSON. */
export function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** Text that Postgres cannot keep as it is: better refused than changed. */
export function textErrors(request: object): FieldError[] {
  const bad = Object.entries(request).filter(([, value]) => storable([value])[0] !== value);
  return bad.map(([name]) => ({
    pointer: `/${name}`,
    detail: "holds characters that cannot be stored (NUL, lone surrogates)",
  }));
}
