import { z } from "zod";
import { Id, operation, PageQuery, pageOf, Timestamp } from "./operation.ts";

export const ROLES = ["owner", "editor", "viewer"] as const;
/** viewer reads; editor also makes datasets and jobs; owner also manages members and the project. */
export const Role = z.enum(ROLES);
export type Role = z.infer<typeof Role>;

export const Project = z
  .object({ id: z.int(), name: z.string(), role: Role, created_at: Timestamp })
  .meta({ id: "Project" });
export type Project = z.infer<typeof Project>;
export const Member = z
  .object({ user_id: z.int(), email: z.string(), name: z.string(), role: Role })
  .meta({ id: "Member" });

const tag = "projects";
const params = z.object({ project_id: Id });
const name = z.string().trim().min(1).max(120);

export const createProject = operation({
  id: "createProject",
  method: "post",
  path: "/api/v1/projects",
  access: "user",
  tag,
  summary: "Make a project; you become its owner",
  body: z.object({ name }),
  status: 201,
  response: Project,
  idempotent: true,
});
export const listProjects = operation({
  id: "listProjects",
  method: "get",
  path: "/api/v1/projects",
  access: "user",
  tag,
  summary: "The projects you are a member of",
  query: PageQuery,
  status: 200,
  response: pageOf(Project),
});
export const getProject = operation({
  id: "getProject",
  method: "get",
  path: "/api/v1/projects/{project_id}",
  access: "user",
  tag,
  summary: "One project",
  params,
  status: 200,
  response: Project,
  problems: [403, 404],
});
export const updateProject = operation({
  id: "updateProject",
  method: "patch",
  path: "/api/v1/projects/{project_id}",
  access: "user",
  tag,
  summary: "Rename a project",
  params,
  body: z.object({ name }),
  status: 200,
  response: Project,
  problems: [403, 404],
});
export const listMembers = operation({
  id: "listMembers",
  method: "get",
  path: "/api/v1/projects/{project_id}/members",
  access: "user",
  tag,
  summary: "Who is in the project",
  params,
  query: PageQuery,
  status: 200,
  response: pageOf(Member),
  problems: [403, 404],
});
export const putMember = operation({
  id: "putMember",
  method: "post",
  path: "/api/v1/projects/{project_id}/members",
  access: "user",
  tag,
  summary: "Add a member by e-mail, or change the role of one",
  params,
  body: z.object({ email: z.email().max(254).toLowerCase(), role: Role }),
  status: 200,
  response: Member,
  problems: [403, 404, 409],
});
export const removeMember = operation({
  id: "removeMember",
  method: "delete",
  path: "/api/v1/projects/{project_id}/members/{user_id}",
  access: "user",
  tag,
  summary: "Remove a member; the last owner stays",
  params: params.extend({ user_id: Id }),
  status: 204,
  response: null,
  problems: [403, 404, 409],
});
