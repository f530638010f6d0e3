/** Accounts and sessions: register, sign in, rotate, sign out. */
import { randomUUID } from "node:crypto";
import { conflict, forbidden, unauthorized } from "@vision-platform/common/app-error";
import type { login, refresh, register, Session, User } from "@vision-platform/contracts/api/auth";
import type { BodyOf } from "@vision-platform/contracts/api/operation";
import type { Db, Pool } from "../db/db.ts";
import type { Passwords } from "./passwords.ts";
import { insertRefreshToken, lockRefreshToken, markUsed, revokeFamily } from "./refresh-tokens.repository.ts";
import { ACCESS_TTL_S, hashOpaqueToken, newOpaqueToken, type Tokens } from "./tokens.ts";
import { anyUser, insertUser, lockRegistration, type UserRow, userByEmail, userById } from "./users.repository.ts";

export interface SessionParts {
  db: Pool;
  passwords: Passwords;
  tokens: Tokens;
  config: { REGISTRATION: "open" | "closed" };
}

export function toUser(row: UserRow): User {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    is_admin: row.is_admin,
    created_at: row.created_at.toISOString(),
  };
}

async function newSession(parts: SessionParts, db: Db, user: UserRow, family_id: string): Promise<Session> {
  const { token, hash } = newOpaqueToken("vr_");
  await insertRefreshToken(db, { token_hash: hash, family_id, user_id: user.id });
  return {
    access_token: parts.tokens.mintAccess(user),
    token_type: "Bearer",
    expires_in: ACCESS_TTL_S,
    refresh_token: token,
    user: toUser(user),
  };
}

const closed = () =>
  forbidden("Registration is closed here; ask an administrator for an account", "registration_closed");

/** The first account becomes administrator, also when several register at once. 403 when closed, 409 for a taken e-mail. */
export async function registerAccount(parts: SessionParts, body: BodyOf<typeof register>): Promise<Session> {
  const mayRegister = async (db: Db) => parts.config.REGISTRATION === "open" || !(await anyUser(db));
  // Before the costly hash; decided again under the lock.
  if (!(await mayRegister(parts.db))) throw closed();
  const password_hash = await parts.passwords.hash(body.password);
  return await parts.db.transaction().execute(async (trx) => {
    await lockRegistration(trx);
    const is_admin = !(await anyUser(trx));
    if (!is_admin && parts.config.REGISTRATION === "closed") throw closed();
    const name = body.name ?? body.email.split("@", 1)[0] ?? body.email;
    const user = await insertUser(trx, { email: body.email, name, password_hash, is_admin });
    if (user === undefined) throw conflict("There is an account with this e-mail already", "email_taken");
    return await newSession(parts, trx, user, randomUUID());
  });
}

/** 401 with the same words and in the same time, whether the e-mail or the password is wrong. */
export async function signIn(parts: SessionParts, body: BodyOf<typeof login>): Promise<Session> {
  const user = await userByEmail(parts.db, body.email);
  const right = await parts.passwords.verify(body.password, user?.password_hash);
  if (user === undefined || !right) throw unauthorized("E-mail or password is wrong", "wrong_credentials");
  return await newSession(parts, parts.db, user, randomUUID());
}

/** A new pair for a refresh token. One that was used before has been stolen or replayed: its whole family ends. */
export async function rotate(parts: SessionParts, body: BodyOf<typeof refresh>): Promise<Session> {
  // A refusal is returned, not thrown, so that the end of the family is committed.
  const session = await parts.db.transaction().execute(async (trx) => {
    const row = await lockRefreshToken(trx, hashOpaqueToken(body.refresh_token));
    if (row === undefined || row.expired || row.revoked_at !== null) return undefined;
    if (row.used_at !== null) {
      await revokeFamily(trx, row.family_id);
      return undefined;
    }
    const user = await userById(trx, row.user_id);
    if (user === undefined) return undefined;
    await markUsed(trx, row.token_hash);
    return await newSession(parts, trx, user, row.family_id);
  });
  if (session === undefined) throw unauthorized("The session is over; sign in again", "refresh_token_invalid");
  return session;
}

/** Ends the session of a refresh token; an unknown one is ended already. */
export async function signOut(parts: SessionParts, refresh_token: string): Promise<void> {
  await parts.db.transaction().execute(async (trx) => {
    const row = await lockRefreshToken(trx, hashOpaqueToken(refresh_token));
    if (row !== undefined) await revokeFamily(trx, row.family_id);
  });
}
