import { refresh } from "@vision-platform/contracts/api/auth";
import { createProject } from "@vision-platform/contracts/api/projects";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cleanUp } from "./housekeeping.ts";
import { startTestGateway, type TestGateway } from "./testing.ts";

let test: TestGateway;
beforeAll(async () => {
  test = await startTestGateway({ background: false });
});
afterAll(() => test.stop());

async function count(table: "idempotency_keys" | "refresh_tokens"): Promise<number> {
  const result = await sql<{ count: number }>`select count(*)::int as count from ${sql.table(table)}`.execute(
    test.gateway.db,
  );
  return result.rows[0]?.count ?? -1;
}

describe("housekeeping", () => {
  it("forgets what is over and keeps what is not", async () => {
    const user = await test.user();
    for (const key of ["old", "new"]) {
      await user.call(createProject, { body: { name: key }, headers: { "idempotency-key": key } });
    }
    const second = await test.anonymous.call(refresh, { body: { refresh_token: user.session.refresh_token } });
    const { db } = test.gateway;
    await sql`update idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'`.execute(db);
    await sql`update refresh_tokens set expires_at = now() - interval '1 second' where used_at is not null`.execute(db);
    await cleanUp(test.gateway);
    expect([await count("idempotency_keys"), await count("refresh_tokens")]).toEqual([1, 1]);
    expect((await test.anonymous.call(refresh, { body: { refresh_token: second.refresh_token } })).user.id).toBe(1);
  });
});
