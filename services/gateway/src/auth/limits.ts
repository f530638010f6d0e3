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
    // Its checks of the set-up print to the console; TRUST_PROXY is ours to get right.
    validate: false,
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

/** An office shares an address: so many times as many failures as one e-mail may have. */
const PEOPLE_BEHIND_ADDRESS = 20;

/** Count failures only: few for an address with an e-mail, more for the address alone. */
export function loginLimiters(limit: number): RequestHandler[] {
  const message = "Too many failed sign-ins; wait and try again";
  const both = (request: Request) => `${addressOf(request)} ${emailOf(request)}`;
  return [
    limiter({ limit: limit * PEOPLE_BEHIND_ADDRESS, keyGenerator: addressOf, skipSuccessfulRequests: true }, message),
    limiter({ limit, keyGenerator: both, skipSuccessfulRequests: true }, message),
  ];
}

/** Every new account costs a slow hash, so they are counted per address. */
export function registerLimiter(limit: number): RequestHandler {
  return limiter({ limit, keyGenerator: addressOf }, "Too many new accounts from here; wait and try again");
}
