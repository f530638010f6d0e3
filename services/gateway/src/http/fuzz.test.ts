/** Whatever is sent, the answer is never our own fault. */
import type { Operation } from "@vision-platform/contracts/api/operation";
import { OPERATIONS } from "@vision-platform/contracts/api/operations";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { startTestGateway, type TestGateway, type TestUser } from "../testing.ts";

let test: TestGateway;
let user: TestUser;
beforeAll(async () => {
  test = await startTestGateway({ background: false, config: { LOGIN_LIMIT: 1_000_000 } });
  user = await test.user();
  await test.project(user);
});
afterAll(() => test.stop());

const RUNS = 12;
/** Values that have broken somebody's server before. */
const nasty = fc.constantFrom<unknown>(
  ...[
    "",
    " ",
    "\u0000",
    "a\u0000b",
    "\ud800",
    "x".repeat(300),
    "../../etc/passwd",
    "' or 1=1 --",
    "1",
    "true",
    "\u202e",
  ],
  ...[0, -1, 1, 1.5, 1e308, -1e308, 2_147_483_648, 9_007_199_254_740_992, true, false, null],
  ...[[], {}, [[]], { a: { a: { a: {} } } }, { __proto__: null, constructor: 1 }],
);

/** An object with the fields of the schema, each of them right now and then, plus some that do not belong. */
function bodyOf(op: Operation): fc.Arbitrary<unknown> {
  const names =
    op.body instanceof z.ZodObject ? Object.keys(op.body.shape) : ["events", "v", "type", "ts", "src_seq", "data"];
  const fields = Object.fromEntries(names.map((name) => [name, fc.oneof(nasty, fc.jsonValue({ maxDepth: 2 }))]));
  return fc.oneof(fc.record(fields, { requiredKeys: [] }), nasty, fc.jsonValue({ maxDepth: 3 }));
}

function tokenFor(op: Operation): string {
  if (op.access === "internal") return test.gateway.config.INTERNAL_TOKEN;
  if (op.access === "attempt") return test.gateway.tokens.mintCallbackToken({ job_id: 1, attempt: 1, ttl_s: 600 });
  return user.session.access_token;
}

async function statusOf(op: Operation, path: string, body: unknown, query: string): Promise<number> {
  const sendsBody = op.method === "post" || op.method === "patch";
  const response = await fetch(`${test.url}${path}${query}`, {
    method: op.method.toUpperCase(),
    headers: { authorization: `Bearer ${tokenFor(op)}`, "content-type": "application/json" },
    ...(sendsBody ? { body: JSON.stringify(body) ?? "" } : {}),
  });
  await response.body?.cancel();
  return response.status;
}

describe.each(OPERATIONS.map((op) => [op.id, op] as const))("%s", (_, op) => {
  it("answers anything with less than 500", async () => {
    const segment = fc.oneof(
      { weight: 3, arbitrary: fc.constant("1") },
      fc.string({ minLength: 1 }),
      fc.constantFrom("%00", "0", "-1", "1e9"),
    );
    const query = fc.dictionary(
      fc.constantFrom("limit", "cursor", "after", "type", "sort", "tags", "name"),
      fc.string(),
      { maxKeys: 2 },
    );
    const input = fc.record({ segments: fc.array(segment, { minLength: 3, maxLength: 3 }), body: bodyOf(op), query });
    await fc.assert(
      fc.asyncProperty(input, async ({ segments, body, query: fields }) => {
        let next = 0;
        const path = op.path.replace(/\{\w+\}/g, () => encodeURIComponent(segments[next++] ?? "1"));
        const search = op.method === "get" ? `?${new URLSearchParams(fields)}` : "";
        expect(await statusOf(op, path, body, search)).toBeLessThan(500);
      }),
      { numRuns: RUNS },
    );
  });
});
