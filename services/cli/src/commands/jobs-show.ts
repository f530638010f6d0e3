import { cancelJob, getJob, type Job } from "@vision-platform/contracts/api/jobs";
import { isTerminal } from "@vision-platform/contracts/job-state";
import { ago, duration, plain } from "../output/format.ts";
import { metricTexts } from "../output/metrics.ts";
import { tableLines } from "../output/table.ts";
import type { Context } from "./action.ts";
import { parseJobId } from "./arguments.ts";

function fieldsOf(job: Job) {
  const config = Object.entries(job.config).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const metrics = metricTexts(job.metrics, job.primary_metric);
  const { progress } = job;
  const isRunning = job.state === "RUNNING";
  return [
    ["job", `${job.id}  ${job.name}`],
    ["state", job.cancel_requested && !isTerminal(job.state) ? `${job.state} (cancelling)` : job.state],
    ["phase", job.phase],
    ["waits", job.waiting_reason],
    ["before it", job.queue_position],
    [
      "progress",
      isRunning && progress.pct !== undefined
        ? `${Math.floor(progress.pct)} %, epoch ${progress.epoch ?? "-"}/${progress.epochs ?? "-"}`
        : undefined,
    ],
    ["ETA", isRunning && typeof progress.eta_s === "number" ? duration(progress.eta_s) : undefined],
    ["metrics", metrics.join("  ")],
    ["failure", job.failure === null ? undefined : `${job.failure.code}: ${job.failure.message}`],
    ["hint", job.failure?.hint],
    ["project", job.project_id],
    ["kind", job.kind],
    ["model", `${job.framework}/${job.model_name}`],
    ["task", job.task_type],
    ["dataset", `${job.dataset_id} v${job.dataset_version}`],
    [
      "settings",
      job.kind === "train"
        ? `${job.epochs} epochs, batch ${job.batch_size}, lr ${job.learning_rate}, seed ${job.seed}, GPUs ${job.gpus}${job.min_vram_gb === null ? "" : ` with ${job.min_vram_gb} GB`}`
        : undefined,
    ],
    ["source", job.source_job_id === null ? undefined : `the ${job.checkpoint} checkpoint of job ${job.source_job_id}`],
    ["config", config.join(" ")],
    ["tags", job.tags.join(" ")],
    ["notes", job.notes],
    ["made", ago(job.created_at, Date.now())],
    ["started", job.started_at === null ? undefined : ago(job.started_at, Date.now())],
    ["finished", job.finished_at === null ? undefined : ago(job.finished_at, Date.now())],
    ["events", job.last_seq],
    ["MLflow run", job.mlflow_run_id],
    ["trace id", job.trace_id],
  ] as const;
}

export async function show({ output, session }: Context, [text = ""]: string[]): Promise<undefined> {
  const params = { job_id: parseJobId(text) };
  const job = await (await session()).call(getJob, { params });
  output.show(job, fieldsOf(job));
  if (job.attempts.length < 2) return undefined;
  output.line("");
  type Row = Job["attempts"][number];
  const columns = [
    { title: "attempt", of: (one: Row) => one.attempt },
    { title: "outcome", of: (one: Row) => one.outcome ?? "running" },
    { title: "exit code", of: (one: Row) => one.exit_code },
    { title: "worker", of: (one: Row) => one.worker_id },
    {
      title: "why",
      of: (one: Row) => (one.failure === null ? "" : plain(`${one.failure.code}: ${one.failure.message}`)),
    },
  ];
  for (const line of tableLines(columns, job.attempts)) output.line(line);
  return undefined;
}

export async function cancel({ output, session }: Context, [text = ""]: string[]): Promise<undefined> {
  const params = { job_id: parseJobId(text) };
  const job = await (await session()).call(cancelJob, { params });
  output.record(job);
  const isRunning = job.state === "RUNNING";
  output.line(
    isRunning ? `job ${job.id} is being cancelled: it saves a checkpoint first` : `job ${job.id} ${job.state}`,
  );
  return undefined;
}
