/** Who is in a project. A project always keeps an owner. */
import { conflict, notFound } from "@vision-platform/common/app-error";
import type { BodyOf, QueryOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import type { listMembers, putMember, Role } from "@vision-platform/contracts/api/projects";
import { z } from "zod";
import { userByEmail } from "../auth/users.repository.ts";
import type { Pool } from "../db/db.ts";
import type { Principal } from "../http/access.ts";
import { pageFrom, readCursor } from "../http/page.ts";
import { requireRole } from "./authorization.ts";
import { deleteMember, listMemberRows, lockMembers, upsertMember } from "./projects.repository.ts";

type Members = { user_id: number; role: Role }[];

function refuseLastOwner(members: Members, user_id: number): void {
  const owners = members.filter((member) => member.role === "owner");
  if (owners.length === 1 && owners[0]?.user_id === user_id) {
    throw conflict("A project keeps at least one owner: make somebody else owner first", "last_owner");
  }
}

export async function memberPage(
  db: Pool,
  user: Principal,
  project_id: number,
  { cursor, limit }: QueryOf<typeof listMembers>,
): Promise<ResponseOf<typeof listMembers>> {
  const after = readCursor(cursor, z.int()) ?? 0;
  await requireRole(db, user, project_id, "viewer");
  return pageFrom(
    await listMemberRows(db, project_id, after, limit + 1),
    limit,
    (row) => row.user_id,
    (row) => row,
  );
}

/** Adds somebody who has an account, or changes a role. 404: no such account. 409: the last owner. */
export async function putProjectMember(
  db: Pool,
  user: Principal,
  project_id: number,
  { email, role }: BodyOf<typeof putMember>,
): Promise<ResponseOf<typeof putMember>> {
  return await db.transaction().execute(async (trx) => {
    const members = await lockMembers(trx, project_id);
    await requireRole(trx, user, project_id, "owner");
    const account = await userByEmail(trx, email);
    if (account === undefined) throw notFound("Nobody has an account with this e-mail", "account_not_found");
    if (role !== "owner") refuseLastOwner(members, account.id);
    await upsertMember(trx, { project_id, user_id: account.id, role });
    return { user_id: account.id, email: account.email, name: account.name, role };
  });
}

/** An owner removes anybody; everybody may leave. 404: not a member. 409: the last owner. */
export async function removeProjectMember(
  db: Pool,
  user: Principal,
  project_id: number,
  user_id: number,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const members = await lockMembers(trx, project_id);
    await requireRole(trx, user, project_id, user_id === user.user_id ? "viewer" : "owner");
    if (!members.some((member) => member.user_id === user_id))
      throw notFound("Not a member of this project", "member_not_found");
    refuseLastOwner(members, user_id);
    await deleteMember(trx, project_id, user_id);
  });
}
