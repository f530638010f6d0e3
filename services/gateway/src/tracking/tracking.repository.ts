/** How far each training has been told to MLflow: a run id and a cursor over the job's committed events. */
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { JobState } from "@vision-platform/contracts/job-state";
import { sql } from "kysely";
import type { Db } from "../db/db.ts";

/** What a run says of its job. */
export interface TrackedJob {
  job_id: number;
  project_id: number;
  project_name: string;
  user_email: string;
  name: string;
  notes: string;
  tags: string[];
  framework: string;
  model_name: string;
  task_type: string;
  dataset_id: number;
  dataset_name: string;
  dataset_version: number;
  epochs: number;
  batch_size: number;
  learning_rate: number;
  seed: number;
  gpus: number;
  config: Record<string, unknown>;
  trace_id: string;
  attempt: number;
  state: JobState;
  failure: Failure | null;
  started_at: Date;
  finished_at: Date | null;
  last_seq: number;
  /** What MLflow has been told. */
  run_id: string | null;
  seq: number;
  artifacts: { name: string; uri: string; sha256: string }[];
}

/** One `metrics` event. */
export interface TrackedMetrics {
  seq: number;
  ts: Date;
  scope: "step" | "epoch";
  step: number;
  values: Record<string, number | null>;
}

const LEASE = "1 minute";

/** Notes every training that has begun and is not tracked yet, also those from before tracking was switched on. */
export async function noteTrainings(db: Db): Promise<void> {
  await sql`
    insert into mlflow_runs (job_id)
    select id from jobs j
    where kind = 'train' and started_at is not null
      and not exists (select from mlflow_runs r where r.job_id = j.id)
    order by id limit 1000
    on conflict do nothing`.execute(db);
}

/**
 * Takes trainings that have news for MLflow, for a minute: another gateway passes over them meanwhile. Those that wait
 * longest come first.
 */
export async function takeTrainings(db: Db, limit: number): Promise<TrackedJob[]> {
  const taken = await sql<{ job_id: number }>`
    update mlflow_runs set leased_until = now() + ${LEASE}::interval
    where job_id in (
      select r.job_id from mlflow_runs r join jobs j on j.id = r.job_id
      where not r.ended and (r.leased_until is null or r.leased_until < now())
        and (r.not_before is null or r.not_before < now())
        and (j.last_seq > r.seq or j.state in ('SUCCEEDED', 'FAILED', 'CANCELLED'))
      order by r.told_at nulls first limit ${limit} for update of r skip locked)
    returning job_id`.execute(db);
  const ids = taken.rows.map(({ job_id }) => job_id);
  return ids.length === 0 ? [] : await trackedJobs(db, ids);
}

async function trackedJobs(db: Db, ids: number[]): Promise<TrackedJob[]> {
  const result = await sql<TrackedJob>`
    select j.id as job_id, j.project_id, p.name as project_name, u.email as user_email, j.name, j.notes, j.tags,
      j.framework, j.model_name, j.task_type, j.dataset_id, d.name as dataset_name, j.dataset_version, j.epochs,
      j.batch_size, j.learning_rate, j.seed, j.gpus, j.config, j.trace_id, j.attempt, j.state, j.failure, j.started_at,
      j.finished_at, j.last_seq, r.run_id, r.seq,
      coalesce((select json_agg(json_build_object('name', a.name, 'uri', a.uri, 'sha256', a.sha256) order by a.name)
        from artifacts a where a.job_id = j.id), '[]') as artifacts
    from jobs j
    join mlflow_runs r on r.job_id = j.id
    join projects p on p.id = j.project_id
    join users u on u.id = j.created_by
    join datasets d on d.id = j.dataset_id
    where j.id = any(${ids}) order by j.id`.execute(db);
  return result.rows;
}

/** The `metrics` events with seq > after, in order. */
export async function metricsAfter(db: Db, job_id: number, after: number, limit: number): Promise<TrackedMetrics[]> {
  const result = await sql<TrackedMetrics>`
    select seq, ts, data ->> 'scope' as scope, (data ->> 'step')::int as step, data -> 'values' as values
    from job_events where job_id = ${job_id} and type = 'metrics' and seq > ${after} order by seq limit ${limit}`.execute(
    db,
  );
  return result.rows;
}

/** Remembers the run before anything is written to it. */
export async function saveRun(db: Db, job_id: number, run_id: string): Promise<void> {
  await db.updateTable("mlflow_runs").set({ run_id }).where("job_id", "=", job_id).execute();
}

/** Moves the cursor; `ended` when nothing more will ever come. */
export async function saveTold(db: Db, job_id: number, seq: number, ended: boolean): Promise<void> {
  await sql`
    update mlflow_runs set seq = ${seq}, ended = ${ended}, leased_until = null, not_before = null, refusals = 0, error = null,
      told_at = now()
    where job_id = ${job_id}`.execute(db);
}

/** Gives trainings back untold, as when MLflow is away. */
export async function giveBack(db: Db, job_ids: number[]): Promise<void> {
  if (job_ids.length === 0) return;
  await db.updateTable("mlflow_runs").set({ leased_until: null }).where("job_id", "in", job_ids).execute();
}

/** MLflow refused this training: again later, twice as late each time; after `limit` refusals never again. */
export async function saveRefusal(db: Db, job_id: number, error: string, limit: number): Promise<void> {
  await sql`
    update mlflow_runs set leased_until = null, refusals = refusals + 1, error = ${error.slice(0, 1000)},
      not_before = now() + interval '5 seconds' * power(2, refusals), ended = refusals + 1 >= ${limit}
    where job_id = ${job_id}`.execute(db);
}

/** Trainings with news that MLflow has not been told yet. */
export async function countUntold(db: Db): Promise<number> {
  const result = await sql<{ untold: number }>`
    select count(*)::int as untold from mlflow_runs r join jobs j on j.id = r.job_id
    where not r.ended and j.last_seq > r.seq`.execute(db);
  return result.rows[0]?.untold ?? 0;
}
