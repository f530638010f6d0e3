import { type Selectable, sql } from "kysely";
import type { Db } from "../db/db.ts";
import type { UsersTable } from "../db/schema.ts";

export type UserRow = Selectable<UsersTable>;

/** Any number would do; while it is held nobody else registers. */
const REGISTRATION_LOCK = 7_305_117;

/** Until the end of the transaction: "is this the first account" has one answer at a time. */
export async function lockRegistration(db: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock(${REGISTRATION_LOCK})`.execute(db);
}

export async function anyUser(db: Db): Promise<boolean> {
  return (await db.selectFrom("users").select("id").limit(1).executeTakeFirst()) !== undefined;
}

/** Undefined when the e-mail is taken. */
export async function insertUser(
  db: Db,
  user: { email: string; name: string; password_hash: string; is_admin: boolean },
): Promise<UserRow | undefined> {
  return await db
    .insertInto("users")
    .values(user)
    .onConflict((conflict) => conflict.column("email").doNothing())
    .returningAll()
    .executeTakeFirst();
}

export async function userByEmail(db: Db, email: string): Promise<UserRow | undefined> {
  return await db.selectFrom("users").selectAll().where("email", "=", email).executeTakeFirst();
}

export async function userById(db: Db, id: number): Promise<UserRow | undefined> {
  return await db.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
}
