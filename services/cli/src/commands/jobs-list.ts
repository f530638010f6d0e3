import { type Job, listJobs } from "@vision-platform/contracts/api/jobs";
import type { JobKind, JobState } from "@vision-platform/contracts/job-state";
import { findProject } from "../lookup/by-name.ts";
import { allPages } from "../lookup/pages.ts";
import { ago } from "../output/format.ts";
import { metricTexts } from "../output/metrics.ts";
import type { Context } from "./action.ts";

export interface ListOptions {
  project?: string;
  state?: JobState;
  kind?: JobKind;
  framework?: string;
  tag?: string;
  limit: number;
}

/** Where a job is, in a few words. */
export function progressOf(job: Job): string {
  if (job.state === "QUEUED")
    return job.queue_position === null ? (job.waiting_reason ?? "") : `${job.queue_position} before it`;
  if (job.state === "RUNNING") {
    const pct = job.progress.pct === undefined ? "" : ` ${Math.floor(job.progress.pct)} %`;
    return `${job.cancel_requested ? "cancelling" : (job.phase ?? "")}${pct}`;
  }
  if (job.failure !== null) return job.failure.code;
  return metricTexts(job.metrics, job.primary_metric)[0] ?? "";
}

export async function listAll({ output, session }: Context, options: ListOptions): Promise<undefined> {
  const open = await session();
  const { state, kind, framework, tag, limit } = options;
  const project_id = options.project === undefined ? undefined : (await findProject(open, options.project)).id;
  const query = { project_id, state, kind, framework, tag, limit: Math.min(limit, 200) };
  const jobs = await allPages((cursor) => open.call(listJobs, { query: { ...query, cursor } }), limit);
  output.list(
    jobs,
    [
      { title: "id", of: (job) => job.id, align: "right" },
      { title: "state", of: (job) => job.state },
      { title: "progress", of: progressOf },
      { title: "kind", of: (job) => (job.source_job_id === null ? job.kind : `${job.kind} of ${job.source_job_id}`) },
      { title: "name", of: (job) => job.name },
      { title: "model", of: (job) => (job.kind === "ingest" ? "" : `${job.framework}/${job.model_name}`) },
      { title: "dataset", of: (job) => `${job.dataset_id} v${job.dataset_version}` },
      { title: "made", of: (job) => ago(job.created_at, Date.now()) },
    ],
    "no such jobs",
  );
  return undefined;
}
