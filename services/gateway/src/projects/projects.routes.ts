import {
  createProject,
  getProject,
  listMembers,
  listProjects,
  type Project,
  putMember,
  type Role,
  removeMember,
  updateProject,
} from "@vision-platform/contracts/api/projects";
import { z } from "zod";
import type { Gateway } from "../gateway.ts";
import { pageFrom, readCursor } from "../http/page.ts";
import type { Routes } from "../http/router.ts";
import { requireRole } from "./authorization.ts";
import { memberPage, putProjectMember, removeProjectMember } from "./members.service.ts";
import { insertProject, listProjectRows, projectById, renameProject } from "./projects.repository.ts";

function toProject(row: { id: number; name: string; created_at: Date }, role: Role): Project {
  return { id: row.id, name: row.name, role, created_at: row.created_at.toISOString() };
}

export function projectsRoutes(routes: Routes, { db }: Gateway): void {
  routes.add(createProject, async (context) => {
    return toProject(await insertProject(context.db, context.body.name, context.user.user_id), "owner");
  });
  routes.add(listProjects, async ({ user, query: { cursor, limit } }) => {
    const before = readCursor(cursor, z.int());
    const rows = await listProjectRows(db, user.user_id, before, limit + 1);
    return pageFrom(
      rows,
      limit,
      (row) => row.id,
      (row) => toProject(row, row.role),
    );
  });
  routes.add(getProject, async ({ user, params }) => {
    const role = await requireRole(db, user, params.project_id, "viewer");
    return toProject(await projectById(db, params.project_id), role);
  });
  routes.add(updateProject, async ({ user, params, body }) => {
    const role = await requireRole(db, user, params.project_id, "owner");
    return toProject(await renameProject(db, params.project_id, body.name), role);
  });

  routes.add(listMembers, ({ user, params, query }) => memberPage(db, user, params.project_id, query));
  routes.add(putMember, ({ user, params, body }) => putProjectMember(db, user, params.project_id, body));
  routes.add(removeMember, async ({ user, params }) => {
    await removeProjectMember(db, user, params.project_id, params.user_id);
    return undefined;
  });
}
