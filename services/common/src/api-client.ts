/** Calls the gateway's operations, typed by the contracts. */
import type {
  BodyInput,
  Operation,
  ParamsInput,
  Problem,
  QueryInput,
  ResponseOf,
} from "@vision-platform/contracts/api/operation";
import { AppError } from "./app-error.ts";

type Part<Name extends string, Value> = Value extends undefined
  ? { [key in Name]?: undefined }
  : { [key in Name]: Value };
export type CallInput<Op extends Operation> = Part<"params", ParamsInput<Op>> &
  (QueryInput<Op> extends undefined ? { query?: undefined } : { query?: QueryInput<Op> }) &
  Part<"body", BodyInput<Op>> & {
    /** Milliseconds; default 15 s. */
    timeout?: number;
    headers?: Record<string, string>;
    signal?: AbortSignal;
  };

export interface ApiClient {
  readonly baseUrl: string;
  /** Rejects with AppError: the problem's own code and status, or `unreachable` (503) when nobody answers. */
  call<Op extends Operation>(op: Op, input: CallInput<Op>): Promise<ResponseOf<Op>>;
  /** The same without reading the body: for event streams. */
  open<Op extends Operation>(op: Op, input: CallInput<Op>): Promise<Response>;
}

/** Address of an operation with its parameters filled in. */
export function operationUrl(baseUrl: string, op: Operation, params: unknown, query: unknown): string {
  const path = op.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String((params as Record<string, unknown>)[name])),
  );
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries((query as Record<string, unknown> | undefined) ?? {})) {
    if (value !== undefined) search.set(name, String(value));
  }
  return `${baseUrl.replace(/\/$/, "")}${path}${search.size > 0 ? `?${search}` : ""}`;
}

async function problemOf(response: Response): Promise<AppError> {
  const text = await response.text();
  try {
    const problem = JSON.parse(text) as Problem;
    return new AppError(problem.detail ?? problem.title, {
      code: problem.code,
      status: response.status,
      retryable: problem.retryable,
      ...(problem.errors ? { errors: problem.errors } : {}),
    });
  } catch {
    return new AppError(`HTTP ${response.status}: ${text.slice(0, 200)}`, {
      code: "http_error",
      status: response.status,
    });
  }
}

/** `token` may be a function, so that a refreshed token is used from the next call on. */
export function createApiClient(
  baseUrl: string,
  token?: string | (() => string | undefined | Promise<string | undefined>),
): ApiClient {
  async function open<Op extends Operation>(op: Op, input: CallInput<Op>): Promise<Response> {
    const bearer = typeof token === "function" ? await token() : token;
    const headers: Record<string, string> = {
      accept: op.stream ? "text/event-stream" : "application/json",
      ...input.headers,
    };
    if (bearer !== undefined) headers.authorization = `Bearer ${bearer}`;
    const init: RequestInit = { method: op.method.toUpperCase(), headers };
    if (input.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(input.body);
    }
    const signals = [
      ...(input.signal ? [input.signal] : []),
      ...(op.stream ? [] : [AbortSignal.timeout(input.timeout ?? 15_000)]),
    ];
    if (signals.length > 0) init.signal = AbortSignal.any(signals);
    let response: Response;
    try {
      response = await fetch(operationUrl(baseUrl, op, input.params, input.query), init);
    } catch (cause) {
      throw new AppError(`no answer from ${baseUrl}`, { code: "unreachable", status: 503, cause });
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
  return {
    baseUrl,
    open,
    async call(op, input) {
      const response = await open(op, input);
      if (op.response === null) return undefined as never;
      return (await response.json()) as never;
    },
  };
}
