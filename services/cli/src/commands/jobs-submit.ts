import { createJob, type Job, startJob } from "@vision-platform/contracts/api/jobs";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { findDataset, findModel, findProject } from "../lookup/by-name.ts";
import { watchToEnd } from "../watch/watch-to-end.ts";
import type { Context } from "./action.ts";
import { parseConfig, parseJobId } from "./arguments.ts";

export interface SubmitOptions {
  dataset: string;
  model: string;
  project?: string;
  framework?: string;
  task?: TaskType;
  datasetVersion?: number;
  epochs: number;
  batchSize: number;
  lr: number;
  seed: number;
  gpus: number;
  minVram?: number;
  config?: string[];
  name?: string;
  tag?: string[];
  start: boolean;
  watch?: boolean;
}

/** The job that these options describe, as it was accepted. Rejects with UsageError or AppError. */
async function create(context: Context, options: SubmitOptions): Promise<Job> {
  const config = await parseConfig(options.config ?? []);
  const session = await context.session();
  const isNamed = options.project !== undefined;
  // A dataset's id says the project by itself.
  const isDatasetId = /^\d+$/.test(options.dataset);
  const project = isNamed || !isDatasetId ? await findProject(session, options.project) : undefined;
  const [dataset, model] = await Promise.all([
    findDataset(session, options.dataset, project?.id),
    findModel(session, options.model, options.framework),
  ]);
  return session.call(createJob, {
    body: {
      project_id: project?.id ?? dataset.project_id,
      framework: model.framework,
      model_name: model.name,
      task_type: options.task ?? dataset.task_type,
      dataset_id: dataset.id,
      epochs: options.epochs,
      batch_size: options.batchSize,
      learning_rate: options.lr,
      seed: options.seed,
      gpus: options.gpus,
      config,
      start: options.start,
      ...(options.minVram === undefined ? {} : { min_vram_gb: options.minVram }),
      ...(options.datasetVersion === undefined ? {} : { dataset_version: options.datasetVersion }),
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.tag === undefined ? {} : { tags: options.tag }),
    },
  });
}

/** Submits, and with --watch stays until the end: the exit code then tells how the job ended. */
export async function submitJob(context: Context, options: SubmitOptions): Promise<number | undefined> {
  const job = await create(context, options);
  const { output } = context;
  output.line(
    `job ${job.id} ${job.state}: ${job.framework}/${job.model_name} on dataset ${job.dataset_id} v${job.dataset_version}`,
  );
  if (options.watch === true && options.start)
    return watchToEnd(await context.session(), output, job.id, output.json ? 0 : job.last_seq);
  output.record(job);
  output.note(options.start ? `./vp jobs watch ${job.id}` : `./vp jobs start ${job.id}`);
  return undefined;
}

export async function start(
  context: Context,
  [text = ""]: string[],
  options: { watch?: boolean },
): Promise<number | undefined> {
  const jobId = parseJobId(text);
  const session = await context.session();
  const started = await session.call(startJob, { params: { job_id: jobId } });
  context.output.line(`${started.message}: job ${started.job_id}`);
  if (options.watch === true) return watchToEnd(session, context.output, jobId, context.output.json ? 0 : undefined);
  context.output.record(started);
  return undefined;
}
