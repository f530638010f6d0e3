import type { Role } from "@vision-platform/contracts/api/projects";
import type { Db } from "../db/db.ts";

export async function insertProject(
  db: Db,
  name: string,
  owner_id: number,
): Promise<{ id: number; name: string; created_at: Date }> {
  return await db
    .with("project", (cte) => cte.insertInto("projects").values({ name }).returningAll())
    .with("owner", (cte) =>
      cte
        .insertInto("project_members")
        .columns(["project_id", "user_id", "role"])
        .expression((from) =>
          from
            .selectFrom("project")
            .select(({ ref, val }) => [
              ref("project.id").as("project_id"),
              val(owner_id).as("user_id"),
              val("owner" as Role).as("role"),
            ]),
        ),
    )
    .selectFrom("project")
    .selectAll()
    .executeTakeFirstOrThrow();
}

/** Undefined: no such project. `role` is null for somebody who is not in it. One round trip. */
export async function projectRole(
  db: Db,
  project_id: number,
  user_id: number,
): Promise<{ role: Role | null } | undefined> {
  return await db
    .selectFrom("projects")
    .leftJoin("project_members", (join) =>
      join.onRef("project_members.project_id", "=", "projects.id").on("project_members.user_id", "=", user_id),
    )
    .select("project_members.role")
    .where("projects.id", "=", project_id)
    .executeTakeFirst();
}

export async function projectById(db: Db, id: number) {
  return await db.selectFrom("projects").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
}

/** The user's projects, newest first, below `before`. */
export async function listProjectRows(db: Db, user_id: number, before: number | undefined, count: number) {
  let query = db
    .selectFrom("project_members")
    .innerJoin("projects", "projects.id", "project_members.project_id")
    .select(["projects.id", "projects.name", "projects.created_at", "project_members.role"])
    .where("project_members.user_id", "=", user_id)
    .orderBy("projects.id", "desc")
    .limit(count);
  if (before !== undefined) query = query.where("projects.id", "<", before);
  return await query.execute();
}

export async function renameProject(db: Db, id: number, name: string) {
  return await db.updateTable("projects").set({ name }).where("id", "=", id).returningAll().executeTakeFirstOrThrow();
}

/** Members in the order of their accounts, above `after`. */
export async function listMemberRows(db: Db, project_id: number, after: number, count: number) {
  return await db
    .selectFrom("project_members")
    .innerJoin("users", "users.id", "project_members.user_id")
    .select(["users.id as user_id", "users.email", "users.name", "project_members.role"])
    .where("project_members.project_id", "=", project_id)
    .where("users.id", ">", after)
    .orderBy("users.id")
    .limit(count)
    .execute();
}

/** Until the end of the transaction nobody else changes the members of this project. */
export async function lockMembers(db: Db, project_id: number): Promise<{ user_id: number; role: Role }[]> {
  await db.selectFrom("projects").select("id").where("id", "=", project_id).forUpdate().execute();
  return await db
    .selectFrom("project_members")
    .select(["user_id", "role"])
    .where("project_id", "=", project_id)
    .execute();
}

export async function upsertMember(db: Db, member: { project_id: number; user_id: number; role: Role }): Promise<void> {
  await db
    .insertInto("project_members")
    .values(member)
    .onConflict((conflict) => conflict.columns(["project_id", "user_id"]).doUpdateSet({ role: member.role }))
    .execute();
}

export async function deleteMember(db: Db, project_id: number, user_id: number): Promise<void> {
  await db.deleteFrom("project_members").where("project_id", "=", project_id).where("user_id", "=", user_id).execute();
}
