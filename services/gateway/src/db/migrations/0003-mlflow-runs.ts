import { type Kysely, sql } from "kysely";

/** How far each training has been told to MLflow. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql
    .raw(`create table mlflow_runs (
      job_id integer primary key references jobs on delete cascade,
      run_id text,
      -- Committed events up to here are in MLflow.
      seq integer not null default 0,
      ended boolean not null default false,
      leased_until timestamptz,
      not_before timestamptz,
      refusals integer not null default 0,
      error text,
      told_at timestamptz
    )`)
    .execute(db);
  await sql.raw(`create index mlflow_runs_open on mlflow_runs (told_at) where not ended`).execute(db);
}
