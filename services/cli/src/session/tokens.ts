/** The token of each request: an API key as it is, or a login's access token, renewed before it runs out. */
import { createApiClient } from "@vision-platform/common/api-client";
import { AppError } from "@vision-platform/common/app-error";
import { login, refresh, type Session as ServerSession } from "@vision-platform/contracts/api/auth";
import type { CredentialsFile, Login } from "./credentials-file.ts";
import type { Account } from "./laptop.ts";

export interface Tokens {
  /** `renew`: the server refused the last one. Rejects with AppError 401 when there is nobody signed in. */
  get(renew?: boolean): Promise<string>;
}

/** Renewed so long before its end, so that a request under way does not outlive it. */
const MARGIN_MS = 30_000;

export function loginOf(session: ServerSession, notifierUrl?: string): Login {
  return {
    email: session.user.email,
    access_token: session.access_token,
    expires_at: Date.now() + session.expires_in * 1000,
    refresh_token: session.refresh_token,
    ...(notifierUrl === undefined ? {} : { notifier_url: notifierUrl }),
  };
}

function signedOut(message: string): AppError {
  return new AppError(message, { code: "signed_out", status: 401 });
}

export function apiKeyTokens(key: string): Tokens {
  return { get: async () => key };
}

/** `account` is used to sign in by itself when there is no login (the laptop platform of this checkout). */
export function loginTokens(server: string, file: CredentialsFile, account: Account | undefined): Tokens {
  const api = createApiClient(server);

  async function renewed(known: Login | undefined): Promise<Login> {
    if (known !== undefined) {
      try {
        return loginOf(await api.call(refresh, { body: { refresh_token: known.refresh_token } }), known.notifier_url);
      } catch (error) {
        if (!(error instanceof AppError) || error.status >= 500) throw error;
        if (account === undefined) throw signedOut("your login has ended; sign in again: ./vp login");
      }
    }
    if (account === undefined)
      throw signedOut("you are not signed in; sign in with ./vp login, or set VP_TOKEN to an API key");
    return loginOf(await api.call(login, { body: account }));
  }

  return {
    async get(renew = false) {
      const first = (await file.read()).servers[server];
      const isFresh = (one: Login | undefined): one is Login =>
        one !== undefined && one.expires_at - Date.now() > MARGIN_MS;
      if (!renew && isFresh(first)) return first.access_token;
      return file.update(async (credentials) => {
        const now = credentials.servers[server];
        // Another command was faster.
        if (isFresh(now) && now.access_token !== first?.access_token) return now.access_token;
        const next = await renewed(now);
        credentials.servers[server] = next;
        return next.access_token;
      });
    },
  };
}
