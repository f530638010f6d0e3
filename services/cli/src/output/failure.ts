/** What went wrong, in words, and the exit code that says the same to scripts. Never a stack trace. */
import { AppError } from "@vision-platform/common/app-error";
import { EXIT } from "../exit-codes.ts";
import { plain } from "./format.ts";

/** The person's own mistake, found before anything was asked of the server. */
export class UsageError extends Error {}

/** Something failed for a reason that the message tells completely. */
export class CommandError extends Error {}

export interface Failure {
  message: string;
  exit_code: number;
  code?: string;
  status?: number;
  trace_id?: string;
  errors?: { pointer: string; detail: string }[];
}

function exitCode(error: AppError): number {
  if (error.code === "unreachable") return EXIT.unreachable;
  if (error.status === 401 || error.status === 403) return EXIT.denied;
  return error.status >= 400 && error.status < 500 ? EXIT.usage : EXIT.failed;
}

/** `traceId` is that of the requests of this command: the server's log lines carry it. */
export function failureOf(error: unknown, traceId: string | undefined): Failure {
  if (error instanceof UsageError) return { message: error.message, exit_code: EXIT.usage, code: "usage" };
  if (error instanceof AppError) {
    const { message, code, status, errors } = error;
    // No request of ours got there: nobody would find the trace.
    const isUntraced = traceId === undefined || code === "unreachable" || code === "signed_out";
    const trace = isUntraced ? {} : { trace_id: traceId };
    return { message, exit_code: exitCode(error), code, status, ...trace, ...(errors ? { errors } : {}) };
  }
  const message = error instanceof Error ? error.message || error.name : String(error);
  return { message, exit_code: EXIT.failed };
}

/** The lines for a person: the detail, each wrong field, and the trace id to ask with. */
export function failureLines(failure: Failure): string[] {
  const fields = failure.errors ?? [];
  // The message of a validation problem is the list of its fields: not twice.
  const head = fields.length > 0 ? "the request was not accepted" : failure.message;
  return [
    `vp: ${plain(head)}`,
    ...fields.map(({ pointer, detail }) => `  ${plain(pointer)}: ${plain(detail)}`),
    ...(failure.trace_id === undefined ? [] : [`  trace id ${failure.trace_id}`]),
  ];
}
