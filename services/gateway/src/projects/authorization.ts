/** Who may do what in a project. */
import { forbidden, notFound } from "@vision-platform/common/app-error";
import type { Role } from "@vision-platform/contracts/api/projects";
import type { Db } from "../db/db.ts";
import type { Principal } from "../http/access.ts";
import { projectRole } from "./projects.repository.ts";

const RANK: Record<Role, number> = { viewer: 1, editor: 2, owner: 3 };

/**
 * The caller's role, which is at least `needed`; administrators count as owners everywhere.
 * Rejects: 404 no such project, 403 not a member or a lower role.
 */
export async function requireRole(db: Db, user: Principal, project_id: number, needed: Role): Promise<Role> {
  const project = await projectRole(db, project_id, user.user_id);
  if (project === undefined) throw notFound("Project not found");
  return roleAtLeast(user, project.role, needed);
}

/**
 * The same for whoever has read the membership along with something else: `role` is that of project_members, null for
 * somebody who is not in the project. Throws 403.
 */
export function roleAtLeast(user: Principal, role: Role | null, needed: Role): Role {
  if (user.is_admin) return "owner";
  if (role === null) throw forbidden("You are not a member of this project", "not_a_member");
  if (RANK[role] < RANK[needed]) throw forbidden(`This needs the role ${needed}; yours is ${role}`, "role_too_low");
  return role;
}
