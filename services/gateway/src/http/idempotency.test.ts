import { createProject, listProjects } from "@vision-platform/contracts/api/projects";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";

let test: TestGateway;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
});
afterAll(() => test.stop());

const create = (user: TestUser, key: string, name = "same") =>
  user.call(createProject, { body: { name }, headers: { "idempotency-key": key } });
const countOf = async (user: TestUser) => (await user.call(listProjects, {})).items.length;

describe("Idempotency-Key", () => {
  it("makes one project of fifty parallel requests, all with the same answer", async () => {
    const user = await test.user();
    const answers = await Promise.all(Array.from({ length: 50 }, () => create(user, "fifty")));
    expect(new Set(answers.map((answer) => JSON.stringify(Object.entries(answer).toSorted()))).size).toBe(1);
    expect(await countOf(user)).toBe(1);
  });

  it("makes one project also across two gateways", async () => {
    const user = await test.user();
    const second = await startTestGateway({
      background: false,
      config: { DATABASE_URL: test.gateway.config.DATABASE_URL, JWT_SECRET: test.gateway.config.JWT_SECRET },
    });
    const elsewhere = { ...user, call: second.clientFor(user.session.access_token).call } as TestUser;
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => create(index % 2 ? user : elsewhere, "two-doors")),
    );
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
    expect(await countOf(user)).toBe(1);
    await second.stop();
  });

  it("refuses another body, and keeps people and operations apart", async () => {
    const [one, two] = [await test.user(), await test.user()];
    const first = await create(one, "k");
    await expect(create(one, "k", "other")).rejects.toMatchObject({ status: 422, code: "idempotency_key_reused" });
    expect((await create(two, "k")).id).not.toBe(first.id);
  });

  it("answers anew after 24 hours", async () => {
    const user = await test.user();
    const first = await create(user, "old");
    await sql`update idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'`.execute(
      test.gateway.db,
    );
    expect((await create(user, "old")).id).not.toBe(first.id);
    expect((await create(user, "old", "same")).id).not.toBe(first.id);
  });

  it("is free again after a failure", async () => {
    const user = await test.user();
    await expect(create(user, "retry", "a\u0000b")).rejects.toMatchObject({ status: 422 });
    expect((await create(user, "retry", "ab")).name).toBe("ab");
  });

  it.each(["", " ", "ä", "x".repeat(256)])("refuses the key %j", async (key) => {
    const user = await test.user();
    const sent = create(user, key);
    if (key.trim() === "") await expect(sent).rejects.toMatchObject({ status: 422 });
    else await expect(sent).rejects.toBeDefined();
  });
});
