import { type Kysely, sql } from "kysely";

/** Trainers that outlive their worker, GPUs that are given to jobs, and what workers say about both. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table jobs add column min_vram_gb double precision check (min_vram_gb > 0)`,
  `alter table attempts
    add column launcher text not null default 'subprocess',
    -- NVIDIA's ids: unique over all hosts, so that workers of one host never give a GPU twice.
    add column gpu_ids text[] not null default '{}'`,
  `create index attempts_gpus on attempts using gin (gpu_ids) where outcome is null and gpu_ids <> '{}'`,
  `alter table workers
    add column launcher text not null default 'subprocess',
    add column launcher_reason text not null default '',
    add column gpus jsonb not null default '[]'`,
];
