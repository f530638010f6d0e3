import { sql } from "kysely";
import type { Db } from "../db/db.ts";

interface KeyId {
  user_id: number;
  operation: string;
  key: string;
}
const HOURS = 24;

/**
 * True when the key is free (or its row is older than 24 h) and now ours; a concurrent twin waits here until we
 * commit or roll back.
 */
export async function takeKey(db: Db, row: KeyId & { body_hash: string; status: number }): Promise<boolean> {
  const taken = await db
    .insertInto("idempotency_keys")
    .values({ ...row, response: "null" })
    .onConflict((conflict) =>
      conflict
        .columns(["user_id", "operation", "key"])
        .doUpdateSet({ body_hash: row.body_hash, created_at: sql`now()` })
        .where(sql<boolean>`idempotency_keys.created_at < now() - make_interval(hours => ${HOURS})`),
    )
    .returning("key")
    .executeTakeFirst();
  return taken !== undefined;
}

/** Writes down the answer, to be given again. */
export async function finishKey(db: Db, id: KeyId, response: unknown): Promise<void> {
  await where(db.updateTable("idempotency_keys").set({ response: JSON.stringify(response ?? null) }), id).execute();
}

export async function readKey(db: Db, id: KeyId): Promise<{ body_hash: string; response: object }> {
  return await where(db.selectFrom("idempotency_keys").select(["body_hash", "response"]), id).executeTakeFirstOrThrow();
}

function where<Query extends { where(column: "user_id" | "operation" | "key", operator: "=", value: never): Query }>(
  query: Query,
  id: KeyId,
): Query {
  return query
    .where("user_id", "=", id.user_id as never)
    .where("operation", "=", id.operation as never)
    .where("key", "=", id.key as never);
}

/** Forgets answers older than 24 h. */
export async function deleteOldKeys(db: Db): Promise<void> {
  await db
    .deleteFrom("idempotency_keys")
    .where("created_at", "<", sql<Date>`now() - make_interval(hours => ${HOURS})`)
    .execute();
}
