/** One command's connection to one server: address, token, trace id, and calls that are safe to repeat. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type ApiClient, type CallInput, createApiClient } from "@vision-platform/common/api-client";
import { AppError } from "@vision-platform/common/app-error";
import { continueTrace, type Trace } from "@vision-platform/common/trace";
import type { Operation, ResponseOf } from "@vision-platform/contracts/api/operation";
import type { CliConfig } from "../config.ts";
import { UsageError } from "../output/failure.ts";
import { CredentialsFile } from "./credentials-file.ts";
import { laptopAccount, laptopPlatform } from "./laptop.ts";
import { apiKeyTokens, loginTokens, type Tokens } from "./tokens.ts";

export interface SessionOptions {
  server?: string | undefined;
  notifier?: string | undefined;
}
export interface Session {
  readonly server: string;
  /** Undefined: this server's notifier is not known, events come from the gateway. */
  readonly notifier: string | undefined;
  readonly tokens: Tokens;
  /** Rejects with AppError. Reads, and writes that are idempotent, are tried again when nobody answers. */
  call<Op extends Operation>(op: Op, input: CallInput<Op>): Promise<ResponseOf<Op>>;
  open<Op extends Operation>(op: Op, input: CallInput<Op>): Promise<Response>;
}

const RETRY_PAUSES_MS = [300, 1_000, 2_500];

/** The address without a slash at its end. Throws UsageError unless it is http or https. */
export function serverAddress(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${text} is no address of a server; expected something like http://127.0.0.1:8080`);
  }
  return url.href.replace(/\/+$/, "");
}

/** --server, VP_SERVER, the last login, else the platform that runs from this checkout. */
export async function findServer(
  config: CliConfig,
  options: SessionOptions,
): Promise<{ server: string; notifier: string | undefined; isLaptop: boolean }> {
  const { current, servers } = await new CredentialsFile(config.credentialsFile).read();
  const laptop = await laptopPlatform(config.laptopFolder);
  const address = options.server ?? config.server ?? current ?? laptop?.gateway_url;
  if (address === undefined)
    throw new UsageError("no server: start one here with ./vp up, or name one with --server or VP_SERVER");
  const server = serverAddress(address);
  const isLaptop = laptop !== undefined && serverAddress(laptop.gateway_url) === server;
  const notifier =
    options.notifier ??
    config.notifier ??
    servers[server]?.notifier_url ??
    (isLaptop ? laptop.notifier_url : undefined);
  return { server, notifier: notifier === undefined ? undefined : serverAddress(notifier), isLaptop };
}

async function findTokens(config: CliConfig, server: string, isLaptop: boolean): Promise<Tokens> {
  if (config.token !== undefined) return apiKeyTokens(config.token);
  const logins = new CredentialsFile(config.credentialsFile);
  if (!isLaptop || (await logins.read()).servers[server] !== undefined) return loginTokens(server, logins, undefined);
  // The checkout's own account is kept with the checkout: it is nobody's "last login".
  const own = new CredentialsFile(`${config.laptopFolder}/credentials.json`);
  return loginTokens(server, own, await laptopAccount(config.laptopFolder));
}

/** Asks nothing of the server yet. `trace` marks every request of the command. */
export async function openSession(
  config: CliConfig,
  options: SessionOptions,
  trace: Trace = continueTrace(undefined),
): Promise<Session> {
  const { server, notifier, isLaptop } = await findServer(config, options);
  const tokens = await findTokens(config, server, isLaptop);
  const api = createApiClient(server, () => tokens.get());
  return {
    server,
    notifier,
    tokens,
    call: caller(api, tokens, trace, "call"),
    open: caller(api, tokens, trace, "open"),
  };
}

/** Wraps a call: trace id, one renewal of a refused token, and retries where a repetition can do no harm. */
function caller<Name extends "call" | "open">(
  api: ApiClient,
  tokens: Tokens,
  trace: Trace,
  name: Name,
): ApiClient[Name] {
  const run = api[name] as (op: Operation, input: object) => Promise<unknown>;
  const repeat = async (op: Operation, input: CallInput<Operation>): Promise<unknown> => {
    const isRepeatable = op.method === "get" || op.idempotent === true;
    const key = op.idempotent === true ? { "idempotency-key": randomUUID() } : {};
    const marked = { ...input, headers: { traceparent: trace.traceparent, ...key, ...input.headers } };
    let isRenewed = false;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await run(op, marked);
      } catch (error) {
        if (!(error instanceof AppError) || input.signal?.aborted) throw error;
        const pause = RETRY_PAUSES_MS[attempt];
        if (error.status === 401 && error.code !== "signed_out" && !isRenewed) {
          isRenewed = true;
          await tokens.get(true);
        } else if (isRepeatable && error.status === 503 && pause !== undefined) {
          await sleep(pause);
        } else {
          throw error;
        }
      }
    }
  };
  return repeat as unknown as ApiClient[Name];
}
