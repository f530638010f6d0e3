/** The one error class of the services: a stable code, an HTTP status, and whether trying again can help. */
export interface AppErrorOptions {
  code: string;
  status: number;
  retryable?: boolean;
  cause?: unknown;
  /** Wrong fields of the request, by JSON pointer. */
  errors?: { pointer: string; detail: string }[];
  /** Seconds after which to try again (Retry-After). */
  retryAfter?: number;
}

export class AppError extends Error {
  readonly code: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly errors: { pointer: string; detail: string }[] | undefined;
  readonly retryAfter: number | undefined;

  constructor(message: string, options: AppErrorOptions) {
    super(message, { cause: options.cause });
    this.name = "AppError";
    this.code = options.code;
    this.status = options.status;
    this.retryable = options.retryable ?? options.status === 503;
    this.errors = options.errors;
    this.retryAfter = options.retryAfter;
  }
}

export const badRequest = (message: string, code = "bad_request") => new AppError(message, { code, status: 400 });
export const unauthorized = (message: string, code = "unauthorized") => new AppError(message, { code, status: 401 });
export const forbidden = (message: string, code = "forbidden") => new AppError(message, { code, status: 403 });
export const notFound = (message: string, code = "not_found") => new AppError(message, { code, status: 404 });
export const conflict = (message: string, code = "conflict") => new AppError(message, { code, status: 409 });

/** 422 with one entry per wrong field; pointers are into the request's body ("/epochs") or "/query/…", "/path/…". */
export function invalid(errors: { pointer: string; detail: string }[]): AppError {
  const summary = errors.map((error) => `${error.pointer}: ${error.detail}`).join("; ");
  return new AppError(summary.slice(0, 1000), { code: "validation_failed", status: 422, errors });
}

export const unavailable = (message: string, cause?: unknown) =>
  new AppError(message, { code: "unavailable", status: 503, retryable: true, retryAfter: 2, cause });
