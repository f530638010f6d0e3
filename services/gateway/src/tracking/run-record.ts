/** A job as MLflow wants it told: parameters, tags and metrics, within MLflow's limits. Pure functions. */
import type { JobState } from "@vision-platform/contracts/job-state";
import type { KeyValue, MlflowMetric, RunStatus } from "./mlflow-client.ts";
import type { TrackedJob, TrackedMetrics } from "./tracking.repository.ts";

/** MLflow's limits for one log-batch call and for the texts in it. */
export const BATCH_METRICS = 1_000;
export const BATCH_PARAMS = 100;
export const BATCH_TAGS = 100;
const KEY_CHARACTERS = 250;
const PARAM_CHARACTERS = 6_000;
const TAG_CHARACTERS = 5_000;
const ARTIFACT_TAGS = 50;

/** By this tag the platform finds its run again. */
export function identityTag(job_id: number, platform: string): KeyValue {
  return { key: "vision_platform.job", value: `${platform}/${job_id}` };
}

/** MLflow allows letters, digits, `_ - . / ` and the space in names. */
function key(name: string): string {
  return name.replace(/[^/\w.\- ]/g, "_").slice(0, KEY_CHARACTERS);
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What was asked for; `config.` in front of what the trainer takes beyond the common settings. */
export function paramsOf(job: TrackedJob): KeyValue[] {
  const { framework, model_name, task_type, epochs, batch_size, learning_rate, seed, gpus } = job;
  const common = { framework, model_name, task_type, epochs, batch_size, learning_rate, seed, gpus };
  const config = Object.entries(job.config).map(([name, value]) => [`config.${name}`, value] as const);
  const dataset = { dataset: `${job.dataset_name} v${job.dataset_version}` };
  return [...Object.entries({ ...common, ...dataset }), ...config].map(([name, value]) => ({
    key: key(name),
    value: asText(value).slice(0, PARAM_CHARACTERS),
  }));
}

/** Who, what and where: everything that leads from the run back to the job. */
export function tagsOf(job: TrackedJob, platform: string, output_uri: string): KeyValue[] {
  const tags: Record<string, string> = {
    "mlflow.source.name": "vision-platform",
    "mlflow.source.type": "JOB",
    "mlflow.user": job.user_email,
    "vision_platform.job_id": String(job.job_id),
    "vision_platform.project": job.project_name,
    "vision_platform.project_id": String(job.project_id),
    "vision_platform.dataset_id": String(job.dataset_id),
    "vision_platform.dataset_version": String(job.dataset_version),
    "vision_platform.trace_id": job.trace_id,
    "vision_platform.output_uri": output_uri,
    ...(job.notes === "" ? {} : { "mlflow.note.content": job.notes }),
    ...(job.tags.length === 0 ? {} : { "vision_platform.tags": job.tags.join(", ") }),
  };
  return [identityTag(job.job_id, platform), ...Object.entries(tags).map(([name, value]) => tag(name, value))];
}

/** What is only known later: the attempt that counts, and at the end how it went and what it left (by reference). */
export function outcomeTags(job: TrackedJob): KeyValue[] {
  const { attempt, state, failure } = job;
  return [
    tag("vision_platform.attempt", String(attempt)),
    tag("vision_platform.state", state),
    ...(failure ? [tag("vision_platform.failure", `${failure.code}: ${failure.message}`)] : []),
    ...job.artifacts
      .slice(0, ARTIFACT_TAGS)
      .map(({ name, uri, sha256 }) => tag(`artifact.${name}`, `${uri} sha256=${sha256}`)),
  ];
}

function tag(name: string, value: string): KeyValue {
  return { key: key(name), value: value.slice(0, TAG_CHARACTERS) };
}

/**
 * The points of `metrics` events. Each keeps the time and step of its event, so that sending one again changes nothing.
 * Figures of single steps get `_step` behind their name: a curve must not mix a step's loss with an epoch's mean.
 */
export function metricsOf(events: TrackedMetrics[]): MlflowMetric[] {
  return events.flatMap(({ ts, scope, step, values }) =>
    Object.entries(values)
      .filter((entry): entry is [string, number] => entry[1] !== null && Number.isFinite(entry[1]))
      .map(([name, value]) => ({
        key: key(scope === "step" ? `${name}_step` : name),
        value,
        timestamp: ts.getTime(),
        step,
      })),
  );
}

const STATUS: Partial<Record<JobState, RunStatus>> = { SUCCEEDED: "FINISHED", FAILED: "FAILED", CANCELLED: "KILLED" };

/** MLflow's word for a job that is over; undefined while it is not. */
export function finalStatus(state: JobState): RunStatus | undefined {
  return STATUS[state];
}

/** The list in pieces of at most `size`. */
export function inBatches<Item>(items: Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
