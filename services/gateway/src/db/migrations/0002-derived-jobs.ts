import { type Kysely, sql } from "kysely";

/** Jobs on several GPUs, jobs that use another job's checkpoint, and each job's own primary metric. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table jobs
    add column gpus integer not null default 1 check (gpus >= 1),
    -- evaluate, predict, export: the training whose checkpoint is used, and which of its checkpoints.
    add column source_job_id integer references jobs on delete set null,
    add column checkpoint text check (checkpoint in ('best', 'last')),
    -- As the framework's manifest said when the job was made: a later manifest changes no job.
    add column primary_metric text,
    add column metric_direction text check (metric_direction in ('max', 'min'))`,
  // Until now there was one task.
  `update jobs set primary_metric = 'val/top1', metric_direction = 'max'
    where kind = 'train' and task_type = 'image_classification'`,
  `create index jobs_source on jobs (source_job_id) where source_job_id is not null`,
];
