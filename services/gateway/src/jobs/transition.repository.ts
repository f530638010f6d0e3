/** The ONE place where a job's state changes: birth, and the conditional UPDATE that carries its own event. */
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { isTerminal, type JobState, statesBefore } from "@vision-platform/contracts/job-state";
import type { TrainerResult } from "@vision-platform/contracts/storage-manifests";
import { type Insertable, sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { JobRow, JobsTable } from "../db/schema.ts";
import { type EventRow, envelope } from "../events/event-log.repository.ts";
import { closeDatasetVersion } from "./dataset-version.repository.ts";

export interface Transition {
  job_id: number;
  /** The attempt the caller knows as the newest; the change is refused when there is a newer one. */
  attempt: number;
  /** Only from this state, where `to` can be reached from several. */
  from?: JobState;
  to: JobState;
  /** Why, in a few words, for people. */
  reason?: string;
  /** With FAILED. */
  failure?: Failure;
  /** With QUEUED after a lost attempt: not before so many seconds from now. */
  delay_s?: number;
  /** RESULT.json of the attempt that ended the job. */
  result?: TrainerResult | undefined;
}

export interface Transitioned {
  job: JobRow;
  event: JobEvent;
}

type ChangedRow = JobRow & { event_ts: Date; event_data: Record<string, unknown> };

/**
 * Moves a job to another state if it may: one UPDATE, conditional on the legal states before `to` and on `attempt`,
 * together with the `state` event. Null when somebody else was first. To QUEUED begins a new attempt, which takes over
 * where the one before can be resumed. A job of kind ingest that ends closes its dataset version. Call it in a transaction.
 */
export async function transition(db: Db, change: Transition): Promise<Transitioned | null> {
  const { job_id, attempt, to } = change;
  const over = isTerminal(to);
  const from = statesBefore(to).filter((state) => change.from === undefined || state === change.from);
  const metrics = to === "SUCCEEDED" ? change.result?.metrics : undefined;
  const extra = {
    ...(change.reason === undefined ? {} : { reason: change.reason }),
    ...(change.failure === undefined ? {} : { failure: change.failure }),
    ...(metrics === undefined ? {} : { metrics }),
  };
  const changed = await sql<ChangedRow>`
    with before as (
      select id, state from jobs where id = ${job_id} for update
    ), changed as (
      update jobs set
        state = ${to}, last_seq = last_seq + 1, ${columnsOf(change)}
      from before
      where jobs.id = before.id and jobs.attempt = ${attempt} and jobs.state = any(${from}::text[])
      returning jobs.*, before.state as previous
    ), logged as (
      insert into job_events (job_id, seq, attempt, src, type, ts, data)
      select id, last_seq, attempt, 'gateway', 'state', clock_timestamp(),
        jsonb_build_object('state', state, 'previous', previous) || ${JSON.stringify(extra)}::jsonb
      from changed
      returning ts, data
    ), begun as (
      insert into attempts (job_id, attempt, resume_uri)
      select id, attempt, (select resume_uri from attempts p where p.job_id = changed.id and p.attempt = changed.attempt - 1)
      from changed where state = 'QUEUED'
    )
    select changed.*, logged.ts as event_ts, logged.data as event_data from changed, logged`.execute(db);
  const row = changed.rows[0];
  if (!row) return null;
  if (over && row.kind === "ingest") await closeDatasetVersion(db, row, change.result);
  return { job: row, event: stateEvent(row, row.last_seq, row.event_ts, row.event_data) };
}

/** The columns that belong to each state. */
function columnsOf({ to, failure, delay_s, reason, result }: Transition) {
  if (to === "QUEUED") {
    const wait = delay_s === undefined ? sql`null` : sql`now() + make_interval(secs => ${delay_s})`;
    return sql`attempt = jobs.attempt + 1, queued_at = now(), phase = null, not_before = ${wait},
      waiting_reason = ${reason ?? null}`;
  }
  if (to === "RUNNING") {
    return sql`phase = 'preparing', started_at = coalesce(started_at, now()), not_before = null, waiting_reason = null`;
  }
  const done = to === "SUCCEEDED" && result !== undefined;
  return sql`phase = null, finished_at = now(), not_before = null, waiting_reason = null,
    failure = ${failure === undefined ? null : JSON.stringify(failure)}::jsonb,
    metrics = ${done ? sql`${JSON.stringify(result.metrics)}::jsonb` : sql`jobs.metrics`},
    progress = ${done ? doneProgress(result) : sql`jobs.progress`}`;
}

/** What a job shows for good: done, with the primary metric of the model it leaves rather than that of its last epoch. */
function doneProgress({ metrics }: TrainerResult) {
  return sql`jobs.progress || '{"pct":100,"eta_s":0}'::jsonb || jsonb_strip_nulls(
    jsonb_build_object('accuracy', ${JSON.stringify(metrics)}::jsonb -> jobs.primary_metric))`;
}

export type NewJob = Omit<Insertable<JobsTable>, "state" | "attempt" | "last_seq" | "queued_at" | "config"> & {
  config: Record<string, unknown>;
};

/** A new job, PENDING, or at once QUEUED with attempt 1; one statement, the same events as the two steps would leave. */
export async function insertJob(db: Db, spec: NewJob, start: boolean): Promise<{ job: JobRow; events: JobEvent[] }> {
  const birth = { ...BIRTH, ...(spec.primary_metric ? { primary_metric: spec.primary_metric } : {}) };
  const result = await sql<JobRow>`
    with created as (
      insert into jobs (project_id, created_by, kind, name, notes, tags, framework, model_name, task_type, dataset_id,
        dataset_version, epochs, batch_size, learning_rate, seed, gpus, min_vram_gb, source_job_id, checkpoint, primary_metric, metric_direction,
        config, trace_id, traceparent, state, attempt, last_seq, queued_at)
      values (${spec.project_id}, ${spec.created_by}, ${spec.kind}, ${spec.name}, ${spec.notes ?? ""},
        ${spec.tags ?? []}::text[], ${spec.framework}, ${spec.model_name}, ${spec.task_type}, ${spec.dataset_id},
        ${spec.dataset_version}, ${spec.epochs}, ${spec.batch_size}, ${spec.learning_rate}, ${spec.seed},
        ${spec.gpus ?? 1}, ${spec.min_vram_gb ?? null}::float8, ${spec.source_job_id ?? null}::integer, ${spec.checkpoint ?? null},
        ${spec.primary_metric ?? null}, ${spec.metric_direction ?? null},
        ${JSON.stringify(spec.config)}::jsonb, ${spec.trace_id}, ${spec.traceparent},
        ${start ? "QUEUED" : "PENDING"}, ${start ? 1 : 0}, ${start ? 2 : 1}, ${start ? sql`now()` : null})
      returning *
    ), logged as (
      insert into job_events (job_id, seq, attempt, src, type, ts, data)
      select id, 1, 0, 'gateway', 'state', now(), ${JSON.stringify(birth)}::jsonb from created
      union all
      select id, 2, 1, 'gateway', 'state', now(), ${JSON.stringify(START)}::jsonb from created where state = 'QUEUED'
    ), begun as (
      insert into attempts (job_id, attempt) select id, 1 from created where state = 'QUEUED'
    )
    select * from created`.execute(db);
  const job = result.rows[0];
  if (!job) throw new Error("the new job's row did not come back");
  const events = [stateEvent({ ...job, attempt: 0 }, 1, job.created_at, birth)];
  if (start) events.push(stateEvent(job, 2, job.created_at, START));
  return { job, events };
}

const BIRTH = { state: "PENDING", previous: null } as const;
const START = { state: "QUEUED", previous: "PENDING" } as const;

function stateEvent(job: JobRow, seq: number, ts: Date, data: Record<string, unknown>): JobEvent {
  const row: EventRow = { seq, attempt: job.attempt, src: "gateway", type: "state", ts, data };
  return envelope(job, row);
}
