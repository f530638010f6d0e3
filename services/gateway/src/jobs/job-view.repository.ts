/** Rows as the API shows them: a job with its attempts, and why and behind how many others it waits. */
import type { Job } from "@vision-platform/contracts/api/jobs";
import { type RawBuilder, sql } from "kysely";
import { WORKER_LIVE_S } from "../attempts/workers.repository.ts";
import type { Db } from "../db/db.ts";
import type { AttemptRow, JobRow } from "../db/schema.ts";

type AttemptView = Job["attempts"][number];
type AttemptColumns = Pick<
  AttemptRow,
  "job_id" | "attempt" | "worker_id" | "outcome" | "exit_code" | "failure" | "claimed_at" | "finished_at"
>;
/** The queue a job stands in. */
export interface Waiting {
  /** Jobs of its framework that go first. */
  ahead: number;
  /** A worker of its framework is there. */
  served: boolean;
  /** It waits for its next attempt's time. */
  held: boolean;
}

/** In the order given. At most three statements, whatever the number of jobs. */
export async function presentJobs(db: Db, rows: readonly JobRow[]): Promise<Job[]> {
  const [attempts, waiting, runs] = await Promise.all([attemptsOf(db, rows), waitingOf(db, rows), runsOf(db, rows)]);
  return rows.map((row) => jobView(row, attempts.get(row.id) ?? unclaimed(row), waiting.get(row.id), runs.get(row.id)));
}

/** The same for one job. */
export async function presentJob(db: Db, row: JobRow): Promise<Job> {
  return (await presentJobs(db, [row]))[0] as Job;
}

/** A job that was just made, PENDING or QUEUED; needs no further statement. */
export function presentNewJob(row: JobRow, waiting: Waiting): Job {
  return jobView(row, unclaimed(row), row.state === "QUEUED" ? waiting : undefined);
}

/** SQL: a worker of the framework gave a sign of life within the last WORKER_LIVE_S seconds. */
export function isServed(framework: RawBuilder<unknown>) {
  return sql<boolean>`exists (select from workers w where w.framework = ${framework} and not w.stopping
    and w.last_seen > now() - make_interval(secs => ${WORKER_LIVE_S}))`;
}

/** The first attempt of a job that just waits has nothing in its row yet. */
const isFresh = (row: JobRow) => row.state === "PENDING" || (row.state === "QUEUED" && row.attempt === 1);

async function attemptsOf(db: Db, rows: readonly JobRow[]): Promise<Map<number, AttemptView[]>> {
  const ids = rows.filter((row) => row.attempt > 0 && !isFresh(row)).map((row) => row.id);
  if (ids.length === 0) return new Map();
  const found = await db
    .selectFrom("attempts")
    .select(["job_id", "attempt", "worker_id", "outcome", "exit_code", "failure", "claimed_at", "finished_at"])
    .where("job_id", "in", ids)
    .orderBy("attempt")
    .execute();
  const views = new Map<number, AttemptView[]>();
  for (const row of found) views.set(row.job_id, [...(views.get(row.job_id) ?? []), attemptView(row)]);
  return views;
}

/** The runs in MLflow of those that have one. */
async function runsOf(db: Db, rows: readonly JobRow[]): Promise<Map<number, string>> {
  const ids = rows.filter((row) => row.kind === "train" && row.started_at !== null).map((row) => row.id);
  if (ids.length === 0) return new Map();
  const found = await db
    .selectFrom("mlflow_runs")
    .select(["job_id", "run_id"])
    .where("job_id", "in", ids)
    .where("run_id", "is not", null)
    .execute();
  return new Map(found.map(({ job_id, run_id }) => [job_id, run_id as string]));
}

function attemptView(row: AttemptColumns): AttemptView {
  const { attempt, worker_id, outcome, exit_code, failure } = row;
  return {
    attempt,
    worker_id,
    outcome,
    exit_code,
    failure,
    started_at: iso(row.claimed_at),
    finished_at: iso(row.finished_at),
  };
}

function unclaimed(row: JobRow): AttemptView[] {
  if (row.attempt === 0) return [];
  const nothing = {
    worker_id: null,
    outcome: null,
    exit_code: null,
    failure: null,
    started_at: null,
    finished_at: null,
  };
  return [{ attempt: row.attempt, ...nothing }];
}

async function waitingOf(db: Db, rows: readonly JobRow[]): Promise<Map<number, Waiting>> {
  const ids = rows.filter((row) => row.state === "QUEUED").map((row) => row.id);
  if (ids.length === 0) return new Map();
  const result = await sql<Waiting & { id: number }>`
    select j.id, coalesce(j.not_before > now(), false) as held,
      (select count(*)::int from jobs q where q.state = 'QUEUED' and q.framework = j.framework
        and (q.queued_at, q.id) < (j.queued_at, j.id)) as ahead,
      ${isServed(sql.ref("j.framework"))} as served
    from jobs j where j.id = any(${ids}::int[])`.execute(db);
  return new Map(result.rows.map((row) => [row.id, row]));
}

function reasonOf(row: JobRow, waiting: Waiting): string {
  if (waiting.held && row.waiting_reason !== null) return row.waiting_reason;
  return waiting.served ? "Waiting for a free slot" : `No ${row.framework} worker is running`;
}

function jobView(row: JobRow, attempts: AttemptView[], waiting: Waiting | undefined, mlflow_run_id?: string): Job {
  return {
    id: row.id,
    project_id: row.project_id,
    kind: row.kind,
    name: row.name,
    notes: row.notes,
    tags: row.tags,
    state: row.state,
    phase: row.phase,
    waiting_reason: waiting ? reasonOf(row, waiting) : row.waiting_reason,
    queue_position: waiting?.ahead ?? null,
    cancel_requested: row.cancel_requested_at !== null,
    framework: row.framework,
    model_name: row.model_name,
    task_type: row.task_type,
    dataset_id: row.dataset_id,
    dataset_version: row.dataset_version,
    epochs: row.epochs,
    batch_size: row.batch_size,
    learning_rate: row.learning_rate,
    seed: row.seed,
    gpus: row.gpus,
    min_vram_gb: row.min_vram_gb,
    config: row.config,
    source_job_id: row.source_job_id,
    checkpoint: row.checkpoint,
    primary_metric:
      row.primary_metric === null ? null : { name: row.primary_metric, direction: row.metric_direction ?? "max" },
    attempt: row.attempt,
    attempts,
    last_seq: row.last_seq,
    progress: row.progress,
    metrics: row.metrics,
    failure: row.failure,
    mlflow_run_id: mlflow_run_id ?? null,
    trace_id: row.trace_id,
    created_by: row.created_by,
    created_at: row.created_at.toISOString(),
    queued_at: iso(row.queued_at),
    started_at: iso(row.started_at),
    finished_at: iso(row.finished_at),
  };
}

function iso(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}
