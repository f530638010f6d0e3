import { z } from "zod";
import { Id, operation, PageQuery, pageOf, Timestamp } from "./operation.ts";

export const User = z
  .object({ id: z.int(), email: z.string(), name: z.string(), is_admin: z.boolean(), created_at: Timestamp })
  .meta({ id: "User" });
export type User = z.infer<typeof User>;

const Email = z.email().max(254).toLowerCase();
const Password = z.string().min(12, "at least 12 characters").max(200);

export const Session = z
  .object({
    access_token: z.string(),
    token_type: z.literal("Bearer"),
    /** Seconds. */
    expires_in: z.int(),
    refresh_token: z.string(),
    user: User,
  })
  .meta({ id: "Session" });
export type Session = z.infer<typeof Session>;

const tag = "auth";
export const register = operation({
  id: "register",
  method: "post",
  path: "/api/v1/auth/register",
  access: "public",
  tag,
  summary: "Make an account; the first one becomes administrator",
  body: z.object({ email: Email, password: Password, name: z.string().trim().min(1).max(120).optional() }),
  status: 201,
  response: Session,
  problems: [403, 409, 429],
});
export const login = operation({
  id: "login",
  method: "post",
  path: "/api/v1/auth/login",
  access: "public",
  tag,
  summary: "Sign in with e-mail and password",
  body: z.object({ email: Email, password: z.string().max(200) }),
  status: 200,
  response: Session,
  problems: [429],
});
export const refresh = operation({
  id: "refresh",
  method: "post",
  path: "/api/v1/auth/refresh",
  access: "public",
  tag,
  summary: "Exchange a refresh token for a new pair; a token used twice ends the whole session",
  body: z.object({ refresh_token: z.string().max(200) }),
  status: 200,
  response: Session,
});
export const logout = operation({
  id: "logout",
  method: "post",
  path: "/api/v1/auth/logout",
  access: "public",
  tag,
  summary: "End the session of a refresh token",
  body: z.object({ refresh_token: z.string().max(200) }),
  status: 204,
  response: null,
});
export const me = operation({
  id: "me",
  method: "get",
  path: "/api/v1/auth/me",
  access: "user",
  tag,
  summary: "The account that is signed in",
  status: 200,
  response: User,
});

export const ApiKey = z
  .object({
    id: z.int(),
    name: z.string(),
    /** First characters, to recognise it by. */
    prefix: z.string(),
    created_at: Timestamp,
    last_used_at: Timestamp.nullable(),
    expires_at: Timestamp.nullable(),
  })
  .meta({ id: "ApiKey" });
export const createApiKey = operation({
  id: "createApiKey",
  method: "post",
  path: "/api/v1/auth/api-keys",
  access: "user",
  tag,
  summary: "Make an API key; the key itself is shown only now",
  body: z.object({ name: z.string().trim().min(1).max(120), expires_in_days: z.int().min(1).max(3650).optional() }),
  status: 201,
  response: ApiKey.extend({ key: z.string() }),
});
export const listApiKeys = operation({
  id: "listApiKeys",
  method: "get",
  path: "/api/v1/auth/api-keys",
  access: "user",
  tag,
  summary: "Your API keys",
  query: PageQuery,
  status: 200,
  response: pageOf(ApiKey),
});
export const revokeApiKey = operation({
  id: "revokeApiKey",
  method: "delete",
  path: "/api/v1/auth/api-keys/{api_key_id}",
  access: "user",
  tag,
  summary: "Revoke an API key at once",
  params: z.object({ api_key_id: Id }),
  status: 204,
  response: null,
  problems: [404],
});
