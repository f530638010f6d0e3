import { unauthorized } from "@vision-platform/common/app-error";
import {
  createApiKey,
  listApiKeys,
  login,
  logout,
  me,
  refresh,
  register,
  revokeApiKey,
} from "@vision-platform/contracts/api/auth";
import { verifyToken } from "@vision-platform/contracts/api/internal";
import type { Gateway } from "../gateway.ts";
import type { Routes } from "../http/router.ts";
import { loginLimiters, registerLimiter } from "./limits.ts";
import { registerAccount, rotate, signIn, signOut, toUser } from "./sessions.service.ts";
import { userById } from "./users.repository.ts";

export function authRoutes(routes: Routes, gateway: Gateway): void {
  const { apiKeys, config, db } = gateway;

  routes.add(register, ({ body }) => registerAccount(gateway, body), registerLimiter(config.REGISTER_LIMIT));
  routes.add(login, ({ body }) => signIn(gateway, body), ...loginLimiters(config.LOGIN_LIMIT));
  routes.add(refresh, ({ body }) => rotate(gateway, body));
  routes.add(logout, async ({ body }) => {
    await signOut(gateway, body.refresh_token);
    return undefined;
  });
  routes.add(me, async ({ user }) => {
    const row = await userById(db, user.user_id);
    if (row === undefined) throw unauthorized("The account is gone", "token_invalid");
    return toUser(row);
  });

  routes.add(createApiKey, ({ user, body }) => apiKeys.create(user, body));
  routes.add(listApiKeys, ({ user, query }) => apiKeys.list(user, query));
  routes.add(revokeApiKey, async ({ user, params }) => {
    await apiKeys.revoke(user, params.api_key_id);
    return undefined;
  });

  routes.add(verifyToken, async ({ body }) => {
    const principal = await gateway.verifyUser(body.token);
    return {
      user_id: principal.user_id,
      is_admin: principal.is_admin,
      expires_at: principal.token_expires_at?.toISOString() ?? null,
    };
  });
}
