/** Every error becomes an RFC 9457 body; what we did not foresee is a 500 that tells nothing but its trace id. */
import { STATUS_CODES } from "node:http";
import { AppError, invalid, unavailable } from "@vision-platform/common/app-error";
import type { Logger } from "@vision-platform/common/logger";
import type { Problem } from "@vision-platform/contracts/api/operation";
import type { ErrorRequestHandler } from "express";
import { loggerOf, traceOf } from "./router.ts";

interface Coded {
  code?: unknown;
  name?: unknown;
  message?: unknown;
}

/** Postgres: connection exceptions, shutdown, too many clients, deadlock, serialization, cancelled statement. */
const DATABASE_AWAY = /^(08...|57P0.|57014|53...|40001|40P01|25P03|58...)$/;
const NETWORK_AWAY = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
]);
const AWAY_MESSAGE =
  /timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error|Query read timeout|Cannot use a pool after|Client was closed|driver has already been destroyed|Stream isn't writeable|Connection is closed|Command timed out|max retries per request/;

/** Text that JSON can hold and Postgres cannot: NUL characters and half surrogate pairs. */
const UNSTORABLE = new Set(["22021", "22P05"]);

/** The AppError an error stands for; undefined when it is a defect. */
export function asAppError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error;
  return fromHttpError(error) ?? fromDependency(error);
}

function fromDependency(error: unknown): AppError | undefined {
  const { code, message } = (error ?? {}) as Coded;
  const text = typeof message === "string" ? message : "";
  if (typeof code === "string") {
    if (UNSTORABLE.has(code) || (code === "22P02" && text.includes("type json"))) {
      return invalid([
        { pointer: "", detail: "holds a character that cannot be stored (NUL, or half a surrogate pair)" },
      ]);
    }
    if (DATABASE_AWAY.test(code) || NETWORK_AWAY.has(code))
      return unavailable("A part of the platform does not answer", error);
  }
  if (AWAY_MESSAGE.test(text)) return unavailable("A part of the platform does not answer", error);
  // Errors of the AWS SDK carry the attempt's metadata.
  if (typeof error === "object" && error !== null && "$metadata" in error)
    return unavailable("The storage does not answer", error);
  return undefined;
}

const BODY_PROBLEMS: Record<string, { code: string; detail: string }> = {
  "entity.parse.failed": { code: "malformed_json", detail: "The body is not valid JSON" },
  "entity.too.large": { code: "body_too_large", detail: "The body is too large" },
};

/** Errors of express and its body parser carry a status of 4xx and are meant for the caller. */
function fromHttpError(error: unknown): AppError | undefined {
  if (!(error instanceof Error) || !("status" in error) || typeof error.status !== "number") return undefined;
  if (error.status < 400 || error.status >= 500) return undefined;
  const known = BODY_PROBLEMS["type" in error ? String(error.type) : ""];
  return new AppError(known?.detail ?? error.message, {
    code: known?.code ?? "bad_request",
    status: error.status,
    cause: error,
  });
}

/** The last middleware: writes the problem, logs what is our own fault. */
export function problemHandler(logger: Logger): ErrorRequestHandler {
  return (error, _request, response, _next) => {
    const known = asAppError(error);
    const shown = known ?? defect();
    if (known === undefined) loggerOf(logger, response).error({ err: error }, "unforeseen error");
    else if (known.status >= 500) loggerOf(logger, response).warn({ err: known }, "unavailable");
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (shown.retryAfter !== undefined) response.setHeader("Retry-After", String(shown.retryAfter));
    if (shown.status === 401) response.setHeader("WWW-Authenticate", 'Bearer realm="vision-platform"');
    response.status(shown.status).type("application/problem+json");
    response.send(JSON.stringify(problemOf(shown, traceOf(response).trace_id)));
  };
}

function defect(): AppError {
  const message = "Something went wrong on our side; the trace id leads to the log";
  return new AppError(message, { code: "internal_error", status: 500 });
}

function problemOf(error: AppError, trace_id: string): Problem {
  return {
    type: `urn:vision-platform:problem:${error.code}`,
    title: STATUS_CODES[error.status] ?? "Error",
    status: error.status,
    detail: error.message,
    code: error.code,
    trace_id,
    retryable: error.retryable,
    ...(error.errors ? { errors: error.errors } : {}),
  };
}
