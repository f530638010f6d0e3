import { createApiKey, listApiKeys, me, revokeApiKey } from "@vision-platform/contracts/api/auth";
import { verifyToken } from "@vision-platform/contracts/api/internal";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";

let test: TestGateway;
let user: TestUser;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
  await test.user("administrator");
  user = await test.user("person");
});
afterAll(() => test.stop());

const make = (body: { name: string; expires_in_days?: number } = { name: "laptop" }) =>
  user.call(createApiKey, { body });

describe("API keys", () => {
  it("stand for their owner, are shown once, and are kept as a hash", async () => {
    const key = await make();
    expect(key.key).toMatch(/^vp_[A-Za-z0-9_-]{43}$/);
    expect((await test.clientFor(key.key).call(me, {})).id).toBe(user.session.user.id);
    const listed = (await user.call(listApiKeys, {})).items.find((item) => item.id === key.id);
    expect(listed).toEqual({
      ...listed,
      name: "laptop",
      prefix: key.key.slice(0, 10),
      last_used_at: expect.any(String),
    });
    expect(JSON.stringify(listed)).not.toContain(key.key);
    const rows = await sql`select to_jsonb(api_keys)::text as row from api_keys`.execute(test.gateway.db);
    expect(JSON.stringify(rows)).not.toContain(key.key);
  });

  it("end at once when revoked, and only for their owner", async () => {
    const key = await make();
    const client = test.clientFor(key.key);
    await client.call(me, {});
    const stranger = await test.user();
    const params = { api_key_id: key.id };
    await expect(stranger.call(revokeApiKey, { params })).rejects.toMatchObject({ status: 404 });
    await user.call(revokeApiKey, { params });
    await expect(client.call(me, {})).rejects.toMatchObject({ status: 401 });
    await expect(user.call(revokeApiKey, { params })).rejects.toMatchObject({ status: 404 });
  });

  it("end with their date", async () => {
    const key = await make({ name: "short", expires_in_days: 1 });
    expect(Date.parse(key.expires_at ?? "")).toBeGreaterThan(Date.now());
    await sql`update api_keys set expires_at = now() - interval '1 second' where id = ${key.id}`.execute(
      test.gateway.db,
    );
    await expect(test.clientFor(key.key).call(me, {})).rejects.toMatchObject({ status: 401 });
  });

  it.each([{ name: "" }, { name: "x", expires_in_days: 0 }, { name: "x", expires_in_days: 1.5 }, {}])(
    "refuse %j",
    async (body) => {
      await expect(user.call(createApiKey, { body: body as never })).rejects.toMatchObject({ status: 422 });
    },
  );
});

describe("verifyToken", () => {
  const verify = (token: string) => test.internal.call(verifyToken, { body: { token } });

  it("tells services who is behind a token", async () => {
    const { id } = user.session.user;
    const byToken = await verify(user.session.access_token);
    expect(byToken).toMatchObject({ user_id: id, is_admin: false, expires_at: expect.any(String) });
    expect(await verify((await make()).key)).toMatchObject({ user_id: id, expires_at: null });
    await expect(verify("x")).rejects.toMatchObject({ status: 401, code: "token_invalid" });
  });
});
