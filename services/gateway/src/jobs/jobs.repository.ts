/** Reads and labels of jobs; states change in transition.repository.ts only. */
import type { Role } from "@vision-platform/contracts/api/projects";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { JobKind, JobState } from "@vision-platform/contracts/job-state";
import { sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { JobRow } from "../db/schema.ts";
import { type EventRow, envelope } from "../events/event-log.repository.ts";
import { isServed, type Waiting } from "./job-view.repository.ts";

/** Undefined when there is no such job. */
export async function findJob(db: Db, job_id: number): Promise<JobRow | undefined> {
  return await db.selectFrom("jobs").selectAll().where("id", "=", job_id).executeTakeFirst();
}

export interface TrainingData {
  project_id: number;
  name: string;
  task_type: string;
  /** The version asked for, or the newest that is READY; null when there is none. */
  version: number | null;
  state: string | null;
}

export interface Admission {
  /** The caller's role in the project; null for somebody who is not in it. */
  role: Role | null;
  /** Undefined when there is no such dataset. */
  data: TrainingData | undefined;
  waiting: Waiting;
}

/**
 * Everything a new job is judged by, in one round trip: the caller's role, the dataset with the version it would use, and
 * the queue it would stand in. Undefined when there is no such project.
 */
export async function findAdmission(
  db: Db,
  user_id: number,
  job: {
    project_id: number;
    dataset_id: number;
    dataset_version?: number | undefined;
    framework: string;
    start: boolean;
  },
): Promise<Admission | undefined> {
  // Counting a long queue costs more than all the rest: only for who joins it.
  const ahead = sql`(select count(*)::int from jobs q where q.state = 'QUEUED' and q.framework = ${job.framework})`;
  const wanted = job.dataset_version === undefined ? sql`state = 'READY'` : sql`version = ${job.dataset_version}`;
  const result = await sql<{ role: Role | null; data: TrainingData | null } & Waiting>`
    select m.role, case when d.id is not null then jsonb_build_object('project_id', d.project_id, 'name', d.name,
        'task_type', d.task_type, 'version', v.version, 'state', v.state) end as data,
      ${job.start ? ahead : sql`0`} as ahead, ${isServed(sql`${job.framework}`)} as served, false as held
    from projects p
    left join project_members m on m.project_id = p.id and m.user_id = ${user_id}
    left join datasets d on d.id = ${job.dataset_id}
    left join lateral (
      select version, state from dataset_versions where dataset_id = d.id and ${wanted} order by version desc limit 1
    ) v on true
    where p.id = ${job.project_id}`.execute(db);
  const row = result.rows[0];
  if (!row) return undefined;
  const { role, data, ...waiting } = row;
  return { role, data: data ?? undefined, waiting };
}

export interface JobLabels {
  name?: string | undefined;
  notes?: string | undefined;
  tags?: string[] | undefined;
}

/** Name, notes and tags: the only columns that people change. The job must exist. */
export async function updateLabels(db: Db, job_id: number, labels: JobLabels): Promise<JobRow> {
  const query = db.updateTable("jobs").set(labels).where("id", "=", job_id).returningAll();
  return await query.executeTakeFirstOrThrow();
}

/**
 * Asks the worker of a RUNNING job to end it, with the event that tells of it. Null when the job is not RUNNING; a job
 * that was asked before comes back without an event.
 */
export async function requestCancel(db: Db, job_id: number): Promise<{ job: JobRow; event: JobEvent | null } | null> {
  const asked = await sql<JobRow & { event_ts: Date }>`
    with asked as (
      update jobs set cancel_requested_at = now(), phase = 'cancelling', last_seq = last_seq + 1
      where id = ${job_id} and state = 'RUNNING' and cancel_requested_at is null
      returning *
    ), logged as (
      insert into job_events (job_id, seq, attempt, src, type, ts, data)
      select id, last_seq, attempt, 'gateway', 'phase', clock_timestamp(), ${JSON.stringify(CANCELLING)}::jsonb from asked
      returning ts
    )
    select asked.*, logged.ts as event_ts from asked, logged`.execute(db);
  const row = asked.rows[0];
  if (row) {
    const event: EventRow = {
      seq: row.last_seq,
      attempt: row.attempt,
      src: "gateway",
      type: "phase",
      ts: row.event_ts,
      data: CANCELLING,
    };
    return { job: row, event: envelope(row, event) };
  }
  const job = await findJob(db, job_id);
  return job?.state === "RUNNING" ? { job, event: null } : null;
}

const CANCELLING = { name: "cancelling" };

export interface JobFilter {
  /** Jobs of this person's projects. */
  member: number | undefined;
  project_id?: number | undefined;
  kind?: JobKind | undefined;
  state?: JobState | undefined;
  framework?: string | undefined;
  model_name?: string | undefined;
  dataset_id?: number | undefined;
  source_job_id?: number | undefined;
  tag?: string | undefined;
  sort: "-created_at" | "created_at" | "name" | "-name";
  /** Rows after this one: its name (for the sorts by name) and id. */
  after: { name: string; id: number } | undefined;
  limit: number;
}

/** Ids grow with created_at, so both orders by age are orders by id. */
export async function listJobs(db: Db, filter: JobFilter): Promise<JobRow[]> {
  let query = db.selectFrom("jobs").selectAll();
  if (filter.member !== undefined) {
    const projects = db.selectFrom("project_members").select("project_id").where("user_id", "=", filter.member);
    query = query.where("project_id", "in", projects);
  }
  for (const column of [
    "project_id",
    "kind",
    "state",
    "framework",
    "model_name",
    "dataset_id",
    "source_job_id",
  ] as const) {
    const value = filter[column];
    if (value !== undefined) query = query.where(column, "=", value);
  }
  if (filter.tag !== undefined) query = query.where(sql<boolean>`${filter.tag} = any(tags)`);
  const direction = filter.sort.startsWith("-") ? "desc" : "asc";
  const byName = filter.sort.endsWith("name");
  if (filter.after) {
    const before = direction === "desc" ? sql`<` : sql`>`;
    const { name, id } = filter.after;
    query = query.where(
      byName ? sql<boolean>`(name, id) ${before} (${name}, ${id})` : sql<boolean>`id ${before} ${id}`,
    );
  }
  if (byName) query = query.orderBy("name", direction);
  return await query.orderBy("id", direction).limit(filter.limit).execute();
}
