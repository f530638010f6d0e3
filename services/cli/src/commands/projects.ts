/** projects list | create | members | add-member | remove-member */
import {
  createProject,
  listMembers,
  listProjects,
  putMember,
  ROLES,
  type Role,
  removeMember,
} from "@vision-platform/contracts/api/projects";
import { type Command, Option } from "commander";
import { findProject } from "../lookup/by-name.ts";
import { allPages } from "../lookup/pages.ts";
import { UsageError } from "../output/failure.ts";
import { ago } from "../output/format.ts";
import type { Session } from "../session/session.ts";
import { action, leaf } from "./action.ts";

async function membersOf(session: Session, projectId: number) {
  const params = { project_id: projectId };
  return allPages((cursor) => session.call(listMembers, { params, query: { cursor, limit: 200 } }));
}

export function registerProjects(projects: Command): void {
  leaf(projects.command("list"))
    .description("the projects you are a member of")
    .action(
      action(async ({ output, session }) => {
        const { call } = await session();
        const all = await allPages((cursor) => call(listProjects, { query: { cursor, limit: 200 } }));
        const columns = [
          { title: "id", of: (one: (typeof all)[number]) => one.id, align: "right" as const },
          { title: "name", of: (one: (typeof all)[number]) => one.name },
          { title: "your role", of: (one: (typeof all)[number]) => one.role },
          { title: "made", of: (one: (typeof all)[number]) => ago(one.created_at, Date.now()) },
        ];
        output.list(all, columns, "no projects yet: ./vp projects create <name>");
        return undefined;
      }),
    );
  leaf(projects.command("create <name>"))
    .description("make a project; you become its owner")
    .action(
      action(async ({ output, session }, [name = ""]) => {
        const project = await (await session()).call(createProject, { body: { name } });
        output.record(project);
        output.line(`project ${project.id}: ${project.name}`);
        return undefined;
      }),
    );
  registerMembers(projects);
}

function registerMembers(projects: Command): void {
  leaf(projects.command("members <project>"))
    .description("who is in a project (name or id)")
    .action(
      action(async ({ output, session }, [name]) => {
        const open = await session();
        const members = await membersOf(open, (await findProject(open, name)).id);
        type Row = (typeof members)[number];
        const columns = [
          { title: "e-mail", of: (one: Row) => one.email },
          { title: "name", of: (one: Row) => one.name },
          { title: "role", of: (one: Row) => one.role },
        ];
        output.list(members, columns, "nobody");
        return undefined;
      }),
    );
  leaf(projects.command("add-member <project> <email>"))
    .description("add a member, or change the role of one")
    .addOption(new Option("--role <role>", "what they may do").choices(ROLES).default("editor"))
    .action(
      action<{ role: Role }>(async ({ output, session }, [name, email = ""], options) => {
        const open = await session();
        const project = await findProject(open, name);
        const member = await open.call(putMember, {
          params: { project_id: project.id },
          body: { email, role: options.role },
        });
        output.record(member);
        output.line(`${member.email} is ${member.role} of ${project.name}`);
        return undefined;
      }),
    );
  leaf(projects.command("remove-member <project> <email>"))
    .description("remove a member; the last owner stays")
    .action(
      action(async ({ output, session }, [name, email = ""]) => {
        const open = await session();
        const project = await findProject(open, name);
        const member = (await membersOf(open, project.id)).find(
          (one) => one.email.toLowerCase() === email.toLowerCase(),
        );
        if (member === undefined) throw new UsageError(`${email} is no member of ${project.name}`);
        await open.call(removeMember, { params: { project_id: project.id, user_id: member.user_id } });
        output.record({ ...member, removed: true });
        output.line(`${member.email} is no longer in ${project.name}`);
        return undefined;
      }),
    );
}
