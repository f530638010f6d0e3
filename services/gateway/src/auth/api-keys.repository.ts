import { type Selectable, sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { ApiKeysTable } from "../db/schema.ts";

export type ApiKeyRow = Selectable<ApiKeysTable>;

export async function insertApiKey(
  db: Db,
  key: { user_id: number; name: string; prefix: string; key_hash: string; expires_in_days: number | undefined },
): Promise<ApiKeyRow> {
  const { expires_in_days, ...row } = key;
  const expires_at =
    expires_in_days === undefined ? null : sql<Date>`now() + make_interval(days => ${expires_in_days})`;
  return await db
    .insertInto("api_keys")
    .values({ ...row, expires_at: expires_at as never })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Newest first, below `before`. */
export async function listApiKeyRows(
  db: Db,
  user_id: number,
  before: number | undefined,
  count: number,
): Promise<ApiKeyRow[]> {
  let query = db.selectFrom("api_keys").selectAll().where("user_id", "=", user_id).orderBy("id", "desc").limit(count);
  if (before !== undefined) query = query.where("id", "<", before);
  return await query.execute();
}

/** The hash of the removed key; undefined when the user has no such key. */
export async function deleteApiKey(db: Db, user_id: number, id: number): Promise<string | undefined> {
  const row = await db
    .deleteFrom("api_keys")
    .where("id", "=", id)
    .where("user_id", "=", user_id)
    .returning("key_hash")
    .executeTakeFirst();
  return row?.key_hash;
}

/** The valid key with that hash, and whose it is. */
export async function apiKeyOwner(db: Db, key_hash: string) {
  return await db
    .selectFrom("api_keys")
    .innerJoin("users", "users.id", "api_keys.user_id")
    .select(["api_keys.id", "api_keys.user_id", "api_keys.expires_at", "users.is_admin"])
    .where("key_hash", "=", key_hash)
    .where((where) => where.or([where("expires_at", "is", null), where("expires_at", ">", sql<Date>`now()`)]))
    .executeTakeFirst();
}

/** At most once a minute: a key in heavy use must not become a row in heavy use. */
export async function touchApiKey(db: Db, id: number): Promise<void> {
  await db
    .updateTable("api_keys")
    .set({ last_used_at: sql`now()` })
    .where("id", "=", id)
    .where((where) =>
      where.or([where("last_used_at", "is", null), where("last_used_at", "<", sql<Date>`now() - interval '1 minute'`)]),
    )
    .execute();
}
