import { createApiClient } from "@vision-platform/common/api-client";
import { login, logout, me, register } from "@vision-platform/contracts/api/auth";
import { UsageError } from "../output/failure.ts";
import { CredentialsFile } from "../session/credentials-file.ts";
import { findServer } from "../session/session.ts";
import { loginOf } from "../session/tokens.ts";
import type { Context, SharedOptions } from "./action.ts";

interface LoginOptions extends SharedOptions {
  email?: string;
  passwordStdin?: boolean;
  register?: boolean;
  name?: string;
}

async function askEmail(context: Context): Promise<string> {
  if (!context.output.isLive) throw new UsageError("no terminal to ask on: give --email and --password-stdin");
  const { isCancel, text } = await import("@clack/prompts");
  const answer = await text({ message: "E-mail" });
  if (isCancel(answer)) throw new UsageError("nothing was changed");
  return answer;
}

async function askPassword(context: Context, fromStdin: boolean): Promise<string> {
  if (fromStdin) {
    let text = "";
    for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
    return text.replace(/\r?\n$/, "");
  }
  if (!context.output.isLive) throw new UsageError("no terminal to ask on: give the password with --password-stdin");
  const { isCancel, password } = await import("@clack/prompts");
  const answer = await password({ message: "Password" });
  if (isCancel(answer)) throw new UsageError("nothing was changed");
  return answer;
}

/** Signs in and remembers the server as the one to use. Rejects with AppError 401, 409 or 429. */
export async function runLogin(context: Context, options: LoginOptions): Promise<undefined> {
  const { server, notifier } = await findServer(context.config, options);
  context.output.note(`signing in to ${server}`);
  const email = options.email ?? (await askEmail(context));
  const password = await askPassword(context, options.passwordStdin === true);
  const api = createApiClient(server);
  const session =
    options.register === true
      ? await api.call(register, { body: { email, password, ...(options.name ? { name: options.name } : {}) } })
      : await api.call(login, { body: { email, password } });
  await new CredentialsFile(context.config.credentialsFile).update((credentials) => {
    credentials.current = server;
    credentials.servers[server] = loginOf(session, notifier);
  });
  context.output.record({ ...session.user, server });
  context.output.line(`signed in as ${session.user.email}`);
  return undefined;
}

/** Ends the login on the server, where it can be reached, and here in any case. */
export async function runLogout(context: Context): Promise<undefined> {
  const { server } = await context.session();
  const ended = await new CredentialsFile(context.config.credentialsFile).update((credentials) => {
    const known = credentials.servers[server];
    delete credentials.servers[server];
    if (credentials.current === server) delete credentials.current;
    return known;
  });
  if (ended === undefined) {
    context.output.record({ server, signed_out: false });
    context.output.line(`you were not signed in to ${server}`);
    return undefined;
  }
  try {
    await createApiClient(server).call(logout, { body: { refresh_token: ended.refresh_token } });
  } catch {
    context.output.note("the server did not answer: the login is forgotten here and ends there by itself");
  }
  context.output.record({ server, signed_out: true });
  context.output.line(`signed out of ${server}`);
  return undefined;
}

export async function runWhoami(context: Context): Promise<undefined> {
  const session = await context.session();
  const user = await session.call(me, {});
  context.output.show({ ...user, server: session.server }, [
    ["account", user.email],
    ["name", user.name],
    ["id", user.id],
    ["role", user.is_admin ? "administrator" : "user"],
    ["server", session.server],
    ["signed in by", context.config.token === undefined ? "login" : "VP_TOKEN"],
  ]);
  return undefined;
}
