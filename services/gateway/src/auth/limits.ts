/** Rate limits of the doors that take passwords. In memory: a second gateway doubles them, Redis being away does not matter. */
import { AppError } from "@vision-platform/common/app-error";
import type { Request, RequestHandler } from "express";
import { ipKeyGenerator, type Options, rateLimit } from "express-rate-limit";

const WINDOW_MS = 15 * 60_000;

function limiter(options: Partial<Options>, message: string): RequestHandler {
  return rateLimit({
    windowMs: WINDOW_MS,
    standardHeaders: false,
    legacyHeaders: false,
    ...options,
    handler: (request, _response, next) => {
      const resetTime = (request as Request & { rateLimit?: { resetTime?: Date } }).rateLimit?.resetTime;
      const retryAfter = Math.max(1, Math.ceil(((resetTime?.getTime() ?? Date.now() + WINDOW_MS) - Date.now()) / 1000));
      next(new AppError(message, { code: "too_many_requests", status: 429, retryable: true, retryAfter }));
    },
  });
}

const addressOf = (request: Request) => ipKeyGenerator(request.ip ?? "");

function emailOf(request: Request): string {
  const email = (request.body as { email?: unknown } | undefined)?.email;
  return typeof email === "string" ? email.toLowerCase().slice(0, 254) : "";
}

/** Counts failures only, per address and e-mail. */
export function loginLimiter(limit: number): RequestHandler {
  const keyGenerator = (request: Request) => `${addressOf(request)} ${emailOf(request)}`;
  return limiter({ limit, keyGenerator, skipSuccessfulRequests: true }, "Too many failed sign-ins; wait and try again");
}

/** Every new account costs a slow hash, so they are counted per address. */
export function registerLimiter(limit: number): RequestHandler {
  return limiter({ limit, keyGenerator: addressOf }, "Too many new accounts from here; wait and try again");
}
