/** API keys: made once, shown once, kept as a hash. */
import { notFound, unauthorized } from "@vision-platform/common/app-error";
import type { createApiKey, listApiKeys } from "@vision-platform/contracts/api/auth";
import type { BodyOf, QueryOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import { z } from "zod";
import type { Db } from "../db/db.ts";
import type { Principal } from "../http/access.ts";
import { pageFrom, readCursor } from "../http/page.ts";
import {
  type ApiKeyRow,
  apiKeyOwner,
  deleteApiKey,
  insertApiKey,
  listApiKeyRows,
  touchApiKey,
} from "./api-keys.repository.ts";
import { hashOpaqueToken, newOpaqueToken } from "./tokens.ts";

export const API_KEY_PREFIX = "vp_";
const SHOWN_CHARACTERS = 10;

/** How long another gateway's revocation may go unseen here. */
const CACHE_MS = 3_000;
const CACHE_LIMIT = 5_000;

export interface ApiKeys {
  create(user: Principal, body: BodyOf<typeof createApiKey>): Promise<ResponseOf<typeof createApiKey>>;
  list(user: Principal, query: QueryOf<typeof listApiKeys>): Promise<ResponseOf<typeof listApiKeys>>;
  /** Rejects with 404 for a key that is not the user's. */
  revoke(user: Principal, id: number): Promise<void>;
  /** Rejects with 401 unless the key is valid. */
  verify(key: string): Promise<Principal>;
}

function toApiKey(row: ApiKeyRow) {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    created_at: row.created_at.toISOString(),
    last_used_at: row.last_used_at?.toISOString() ?? null,
    expires_at: row.expires_at?.toISOString() ?? null,
  };
}

export function createApiKeys(db: Db): ApiKeys {
  const known = new Map<string, { principal: Principal; until: number }>();

  async function lookUp(key_hash: string): Promise<Principal> {
    const owner = await apiKeyOwner(db, key_hash);
    if (owner === undefined) throw unauthorized("The API key is not valid", "token_invalid");
    await touchApiKey(db, owner.id);
    return { user_id: owner.user_id, is_admin: owner.is_admin, token_expires_at: owner.expires_at };
  }

  return {
    async create(user, body) {
      const { token, hash } = newOpaqueToken(API_KEY_PREFIX);
      const row = await insertApiKey(db, {
        user_id: user.user_id,
        name: body.name,
        prefix: token.slice(0, SHOWN_CHARACTERS),
        key_hash: hash,
        expires_in_days: body.expires_in_days,
      });
      return { ...toApiKey(row), key: token };
    },
    async list(user, { cursor, limit }) {
      const before = readCursor(cursor, z.int());
      return pageFrom(await listApiKeyRows(db, user.user_id, before, limit + 1), limit, (row) => row.id, toApiKey);
    },
    async revoke(user, id) {
      const hash = await deleteApiKey(db, user.user_id, id);
      if (hash === undefined) throw notFound("API key not found");
      known.delete(hash);
    },
    async verify(key) {
      const hash = hashOpaqueToken(key);
      const cached = known.get(hash);
      const now = Date.now();
      if (cached && cached.until > now && !hasExpired(cached.principal, now)) return cached.principal;
      const principal = await lookUp(hash);
      if (known.size >= CACHE_LIMIT) known.clear();
      known.set(hash, { principal, until: now + CACHE_MS });
      return principal;
    },
  };
}

function hasExpired(principal: Principal, now: number): boolean {
  return principal.token_expires_at !== null && principal.token_expires_at.getTime() <= now;
}
