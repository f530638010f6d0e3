/** Learning curves out of the event log. */
import { sql } from "kysely";
import type { Db } from "../db/db.ts";

export interface MetricRow {
  name: string;
  seq: number;
  ts: Date;
  attempt: number;
  scope: "step" | "epoch";
  epoch: number;
  step: number;
  value: number | null;
}

/** At most `max_points` of each series, evenly spaced and counted from the newest, which is always among them. */
export async function readSeries(
  db: Db,
  job_id: number,
  wanted: { after: number; scope?: string | undefined; name?: string | undefined; max_points: number },
): Promise<MetricRow[]> {
  const result = await sql<MetricRow>`
    with points as (
      select v.key as name, e.seq, e.ts, e.attempt, e.data->>'scope' as scope, (e.data->>'epoch')::float8 as epoch,
        (e.data->>'step')::float8 as step, v.value,
        row_number() over (partition by v.key order by e.seq desc) - 1 as age,
        count(*) over (partition by v.key) as total
      from job_events e, jsonb_each(e.data->'values') v
      where e.job_id = ${job_id} and e.type = 'metrics' and e.seq > ${wanted.after}
        ${wanted.scope === undefined ? sql`` : sql`and e.data->>'scope' = ${wanted.scope}`}
        ${wanted.name === undefined ? sql`` : sql`and v.key = ${wanted.name}`}
    )
    select name, seq, ts, attempt, scope, epoch, step, value from points
    where age % ceil(total::numeric / ${wanted.max_points}) = 0
    order by name, seq`.execute(db);
  return result.rows;
}
