/** What there is to do and who does it, counted for the metrics. */
import type { JobState } from "@vision-platform/contracts/job-state";
import { sql } from "kysely";
import { WORKER_LIVE_S } from "../attempts/workers.repository.ts";
import type { Db } from "../db/db.ts";

/** With so little left of its 15 s a lease was not renewed at least three times. */
const NEAR_EXPIRY_S = 5;

export interface FrameworkCensus {
  framework: string;
  /** Queued attempts that may start now. */
  waiting: number;
  running: number;
  /** Seconds that the longest-waiting job has been QUEUED, whatever it waits for. */
  oldest_waiting_s: number;
  /** Workers that are there and take jobs. */
  workers: number;
}

export interface Census {
  states: { state: JobState; jobs: number }[];
  frameworks: FrameworkCensus[];
  leases_near_expiry: number;
}

/** States and frameworks without any are left out. */
export async function takeCensus(db: Db): Promise<Census> {
  const states = await db
    .selectFrom("jobs")
    .select(({ fn }) => ["state", fn.countAll<number>().as("jobs")])
    .groupBy("state")
    .execute();
  const frameworks = await sql<FrameworkCensus>`
    with work as (
      select framework, count(*) filter (where state = 'QUEUED' and (not_before is null or not_before <= now())) as waiting,
        count(*) filter (where state = 'RUNNING') as running,
        extract(epoch from now() - min(queued_at) filter (where state = 'QUEUED')) as age
      from jobs where state in ('QUEUED', 'RUNNING') group by framework
    ), hands as (
      select framework, count(*) as workers from workers
      where not stopping and last_seen > now() - make_interval(secs => ${WORKER_LIVE_S}) group by framework
    )
    select coalesce(work.framework, hands.framework) as framework, coalesce(waiting, 0)::int as waiting,
      coalesce(running, 0)::int as running, coalesce(age, 0)::float8 as oldest_waiting_s, coalesce(workers, 0)::int as workers
    from work full join hands on hands.framework = work.framework`.execute(db);
  const leases = await sql<{ near: number }>`
    select count(*)::int as near from attempts
    where outcome is null and lease_until < now() + make_interval(secs => ${NEAR_EXPIRY_S})`.execute(db);
  return { states, frameworks: frameworks.rows, leases_near_expiry: leases.rows[0]?.near ?? 0 };
}
