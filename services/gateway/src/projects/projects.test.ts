import {
  createProject,
  getProject,
  listMembers,
  listProjects,
  putMember,
  removeMember,
  updateProject,
} from "@vision-platform/contracts/api/projects";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";

let test: TestGateway;
let admin: TestUser;
let owner: TestUser;
let editor: TestUser;
let viewer: TestUser;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
  admin = await test.user("admin");
  [owner, editor, viewer] = [await test.user("owner"), await test.user("editor"), await test.user("viewer")];
});
afterAll(() => test.stop());

const emailOf = (user: TestUser) => user.session.user.email;
const add = (by: TestUser, project_id: number, whom: TestUser, role: "owner" | "editor" | "viewer") =>
  by.call(putMember, { params: { project_id }, body: { email: emailOf(whom), role } });
const remove = (by: TestUser, project_id: number, whom: TestUser) =>
  by.call(removeMember, { params: { project_id, user_id: whom.session.user.id } });

async function team(): Promise<number> {
  const project_id = await test.project(owner);
  await add(owner, project_id, editor, "editor");
  await add(owner, project_id, viewer, "viewer");
  return project_id;
}

describe("projects", () => {
  it("belong to who made them", async () => {
    const project = await owner.call(createProject, { body: { name: "  Leaves " } });
    expect(project).toMatchObject({ name: "Leaves", role: "owner" });
    expect(await owner.call(getProject, { params: { project_id: project.id } })).toEqual(project);
    expect((await owner.call(listProjects, {})).items[0]).toEqual(project);
    await expect(viewer.call(getProject, { params: { project_id: project.id } })).rejects.toMatchObject({
      status: 403,
    });
  });

  it("show each member the own role, and let only owners rename", async () => {
    const project_id = await team();
    expect(await editor.call(getProject, { params: { project_id } })).toMatchObject({ role: "editor" });
    const rename = (by: TestUser) => by.call(updateProject, { params: { project_id }, body: { name: "Renamed" } });
    await expect(rename(editor)).rejects.toMatchObject({ status: 403, code: "role_too_low" });
    expect(await rename(owner)).toMatchObject({ name: "Renamed" });
  });

  it("are open to administrators", async () => {
    const project_id = await test.project(owner);
    expect(await admin.call(getProject, { params: { project_id } })).toMatchObject({ role: "owner" });
  });
});

describe("members", () => {
  it("are listed page by page", async () => {
    const project_id = await team();
    const first = await viewer.call(listMembers, { params: { project_id }, query: { limit: 2 } });
    const second = await viewer.call(listMembers, {
      params: { project_id },
      query: { limit: 2, cursor: first.next_cursor ?? "" },
    });
    expect([...first.items, ...second.items].map((member) => member.role)).toEqual(["owner", "editor", "viewer"]);
    expect(second.next_cursor).toBeNull();
  });

  it("are added and changed by owners only", async () => {
    const project_id = await team();
    await expect(add(editor, project_id, viewer, "owner")).rejects.toMatchObject({ status: 403 });
    expect(await add(owner, project_id, viewer, "editor")).toMatchObject({ role: "editor" });
    const body = { email: "nobody@example.org", role: "viewer" } as const;
    await expect(owner.call(putMember, { params: { project_id }, body })).rejects.toMatchObject({
      status: 404,
      code: "account_not_found",
    });
    await expect(
      owner.call(putMember, { params: { project_id }, body: { ...body, role: "boss" as never } }),
    ).rejects.toMatchObject({ status: 422 });
  });

  it("may leave, and lose sight of the project at once", async () => {
    const project_id = await team();
    await expect(remove(viewer, project_id, editor)).rejects.toMatchObject({ status: 403 });
    await remove(viewer, project_id, viewer);
    await expect(viewer.call(getProject, { params: { project_id } })).rejects.toMatchObject({ status: 403 });
    await remove(owner, project_id, editor);
    await expect(remove(owner, project_id, editor)).rejects.toMatchObject({ status: 404 });
  });

  it("always include an owner, also when two owners leave at once", async () => {
    const project_id = await team();
    await expect(remove(owner, project_id, owner)).rejects.toMatchObject({ status: 409, code: "last_owner" });
    await expect(add(owner, project_id, owner, "viewer")).rejects.toMatchObject({ status: 409 });
    await add(owner, project_id, editor, "owner");
    const results = await Promise.allSettled([remove(owner, project_id, owner), remove(editor, project_id, editor)]);
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });
});
