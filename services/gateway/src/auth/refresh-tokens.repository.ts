import { type Selectable, sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { RefreshTokensTable } from "../db/schema.ts";

export type RefreshTokenRow = Selectable<RefreshTokensTable>;

const DAYS = 30;

export async function insertRefreshToken(
  db: Db,
  row: { token_hash: string; family_id: string; user_id: number },
): Promise<void> {
  await db
    .insertInto("refresh_tokens")
    .values({ ...row, expires_at: sql<Date>`now() + make_interval(days => ${DAYS})` })
    .execute();
}

/** Locks the row: of two exchanges of the same token, the second sees that it is used. */
export async function lockRefreshToken(
  db: Db,
  token_hash: string,
): Promise<(RefreshTokenRow & { expired: boolean }) | undefined> {
  return await db
    .selectFrom("refresh_tokens")
    .selectAll()
    .select(sql<boolean>`expires_at <= now()`.as("expired"))
    .where("token_hash", "=", token_hash)
    .forUpdate()
    .executeTakeFirst();
}

export async function markUsed(db: Db, token_hash: string): Promise<void> {
  await db.updateTable("refresh_tokens").set({ used_at: sql`now()` }).where("token_hash", "=", token_hash).execute();
}

export async function revokeFamily(db: Db, family_id: string): Promise<void> {
  await db
    .updateTable("refresh_tokens")
    .set({ revoked_at: sql`now()` })
    .where("family_id", "=", family_id)
    .where("revoked_at", "is", null)
    .execute();
}

/** Forgets what cannot be exchanged any more. */
export async function deleteExpiredTokens(db: Db): Promise<void> {
  await db.deleteFrom("refresh_tokens").where("expires_at", "<", sql<Date>`now()`).execute();
}
