/** Memberships and heads for the notifiers, many at a time. */
import type { JobHead } from "@vision-platform/contracts/api/internal";
import type { Role } from "@vision-platform/contracts/api/projects";
import { sql } from "kysely";
import type { Db } from "../db/db.ts";

export interface Asked {
  user_id: number;
  job_id?: number | undefined;
  project_id?: number | undefined;
}

export interface Membership {
  /** Null when the job or project does not exist. */
  project_id: number | null;
  role: Role | null;
  is_admin: boolean;
}

/** One row for each subscription, in the order asked. */
export async function membershipsOf(db: Db, asked: readonly Asked[]): Promise<Membership[]> {
  const result = await sql<Membership>`
    select p.id as project_id, m.role, coalesce(u.is_admin, false) as is_admin
    from jsonb_to_recordset(${JSON.stringify(asked.map((item, place) => ({ ...item, place })))}::jsonb)
      as s(place integer, user_id integer, job_id integer, project_id integer)
    left join jobs j on j.id = s.job_id
    left join projects p on p.id = coalesce(j.project_id, case when s.job_id is null then s.project_id end)
    left join users u on u.id = s.user_id
    left join project_members m on m.project_id = p.id and m.user_id = s.user_id
    order by s.place`.execute(db);
  return result.rows;
}

/** Heads of the jobs named, and of every job of the projects named that is not over. */
export async function headsOf(db: Db, job_ids: number[], project_ids: number[]): Promise<JobHead[]> {
  return await db
    .selectFrom("jobs")
    .select(["id as job_id", "project_id", "state", "last_seq", "progress", "primary_metric"])
    .where((where) =>
      where.or([
        where("id", "=", sql<number>`any(${job_ids}::int[])`),
        where.and([
          where("project_id", "=", sql<number>`any(${project_ids}::int[])`),
          where("state", "in", ["PENDING", "QUEUED", "RUNNING"]),
        ]),
      ]),
    )
    .orderBy("id")
    .execute();
}
