/** Signed tokens: access tokens of people, callback tokens of attempts. The algorithm, issuer and audience are pinned. */
import { createHash, createSecretKey, randomBytes, timingSafeEqual } from "node:crypto";
import { unauthorized } from "@vision-platform/common/app-error";
import jwt from "jsonwebtoken";
import { z } from "zod";
import type { AttemptIdentity, Principal } from "../http/access.ts";

const ISSUER = "vision-platform";
const AUDIENCE = { access: "vision-platform-api", callback: "vision-platform-trainer" } as const;

/** Seconds. */
export const ACCESS_TTL_S = 15 * 60;

/** Tokens remembered as valid. */
const VERIFIED_LIMIT = 2_000;

const AccessClaims = z.object({ sub: z.string().regex(/^[1-9]\d*$/), is_admin: z.boolean(), exp: z.int() });
const CallbackClaims = z.object({ job_id: z.int().min(1), attempt: z.int().min(1), exp: z.int() });

export interface Tokens {
  mintAccess(user: { id: number; is_admin: boolean }): string;
  /** Throws 401: `token_expired`, or `token_invalid` for everything else. */
  verifyAccess(token: string): Principal;
  /** A JWT for one attempt's HTTP callbacks, valid for `ttl_s` seconds. */
  mintCallbackToken(claims: AttemptIdentity & { ttl_s: number }): string;
  /** Throws 401 like verifyAccess. */
  verifyCallbackToken(token: string): AttemptIdentity;
  /** Compares with INTERNAL_TOKEN in constant time. */
  isInternal(token: string): boolean;
}

export function createTokens(settings: { JWT_SECRET: string; INTERNAL_TOKEN: string }): Tokens {
  const key = createSecretKey(Buffer.from(settings.JWT_SECRET));
  const internal = sha256(settings.INTERNAL_TOKEN);

  function sign(claims: object, audience: string, expiresIn: number): string {
    return jwt.sign(claims, key, { algorithm: "HS256", issuer: ISSUER, audience, expiresIn });
  }
  function verify<Claims>(token: string, audience: string, schema: z.ZodType<Claims>): Claims {
    try {
      return schema.parse(jwt.verify(token, key, { algorithms: ["HS256"], issuer: ISSUER, audience }));
    } catch (error) {
      if (error instanceof jwt.TokenExpiredError) throw unauthorized("The token has expired", "token_expired");
      throw unauthorized("The token is not valid", "token_invalid");
    }
  }

  // A client sends the same token for minutes: what was once found valid stays so until it ends.
  const verified = new Map<string, Principal & { token_expires_at: Date }>();

  function verifyAccess(token: string): Principal {
    const known = verified.get(token);
    if (known !== undefined && known.token_expires_at.getTime() > Date.now()) return known;
    const claims = verify(token, AUDIENCE.access, AccessClaims);
    const token_expires_at = new Date(claims.exp * 1000);
    const principal = { user_id: Number(claims.sub), is_admin: claims.is_admin, token_expires_at };
    if (verified.size >= VERIFIED_LIMIT) verified.clear();
    verified.set(token, principal);
    return principal;
  }

  return {
    mintAccess: (user) => sign({ sub: String(user.id), is_admin: user.is_admin }, AUDIENCE.access, ACCESS_TTL_S),
    verifyAccess,
    mintCallbackToken: ({ job_id, attempt, ttl_s }) => sign({ job_id, attempt }, AUDIENCE.callback, ttl_s),
    verifyCallbackToken(token) {
      const { job_id, attempt } = verify(token, AUDIENCE.callback, CallbackClaims);
      return { job_id, attempt };
    },
    isInternal: (token) => timingSafeEqual(sha256(token), internal),
  };
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** A random secret that is stored only as its hash: 256 bits need no slow hash. */
export function newOpaqueToken(prefix: string): { token: string; hash: string } {
  const token = `${prefix}${randomBytes(32).toString("base64url")}`;
  return { token, hash: hashOpaqueToken(token) };
}

export function hashOpaqueToken(token: string): string {
  return sha256(token).toString("hex");
}
