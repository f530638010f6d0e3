/** Checks what a person asks a job to do against the dataset, the catalogue and the trainer's own schema. */
import { invalid } from "@vision-platform/common/app-error";
import type { createJob } from "@vision-platform/contracts/api/jobs";
import type { BodyOf } from "@vision-platform/contracts/api/operation";
import { storable } from "../events/storable-json.ts";
import type { JobsCatalogue } from "./job-parts.ts";
import type { TrainingData } from "./jobs.repository.ts";

export type JobRequest = BodyOf<typeof createJob>;
interface FieldError {
  pointer: string;
  detail: string;
}

/** CONFIG_JSON of the trainer contract. */
const MAX_CONFIG_BYTES = 32 * 1024;

export interface CheckedSpec {
  dataset_version: number;
  /** With the schema's defaults applied. */
  config: Record<string, unknown>;
}

/** Throws 422 with every wrong field at once. */
export function checkSpec(request: JobRequest, data: TrainingData | undefined, catalogue: JobsCatalogue): CheckedSpec {
  const settings = checkConfig(request, catalogue);
  const errors = [
    ...checkData(request, data),
    ...checkModel(request, catalogue),
    ...settings.errors,
    ...textErrors(request),
  ];
  if (errors.length > 0) throw invalid(errors);
  return { dataset_version: data?.version as number, config: settings.config };
}

function checkData(request: JobRequest, data: TrainingData | undefined): FieldError[] {
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
    errors.push({ pointer: "/task_type", detail: `the dataset is for ${data.task_type}` });
  }
  return errors;
}

function checkModel({ framework, model_name, task_type }: JobRequest, catalogue: JobsCatalogue): FieldError[] {
  const manifest = catalogue.manifest(framework);
  if (!manifest?.enabled || manifest.kinds.train === undefined) {
    return [{ pointer: "/framework", detail: `no framework ${framework} that trains is enabled` }];
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

function checkConfig({ framework, config }: JobRequest, catalogue: JobsCatalogue): CheckedConfig {
  if (Buffer.byteLength(JSON.stringify(config)) > MAX_CONFIG_BYTES) {
    return { config, errors: [{ pointer: "/config", detail: `larger than ${MAX_CONFIG_BYTES} bytes` }] };
  }
  if (!catalogue.manifest(framework)) return { config, errors: [] };
  const checked = catalogue.validateConfig(framework, config);
  return {
    config: checked.config,
    errors: checked.errors.map((error) => ({ ...error, pointer: `/config${error.pointer}` })),
  };
}

interface CheckedConfig {
  config: Record<string, unknown>;
  errors: FieldError[];
}

/** Text that Postgres cannot keep as it is: better refused than changed. */
export function textErrors(request: object): FieldError[] {
  const bad = Object.entries(request).filter(([, value]) => storable([value])[0] !== value);
  return bad.map(([name]) => ({
    pointer: `/${name}`,
    detail: "holds characters that cannot be stored (NUL, lone surrogates)",
  }));
}
