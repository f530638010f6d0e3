/** Who may call an operation. Every rule here ends in 401; what a known caller may touch is decided by the features. */
import { unauthorized } from "@vision-platform/common/app-error";
import type { Operation } from "@vision-platform/contracts/api/operation";
import type { Request } from "express";

/** A person, by access token or API key. */
export interface Principal {
  user_id: number;
  is_admin: boolean;
  /** When the token ends; null for an API key without an end. */
  token_expires_at: Date | null;
}

/** A trainer, by the callback token of its attempt. */
export interface AttemptIdentity {
  job_id: number;
  attempt: number;
}

export interface AccessCheck {
  /** Rejects with 401 unless the token is a person's valid access token or API key. */
  user(token: string): Promise<Principal>;
  /** Throws 401 unless it is a valid callback token. */
  attempt(token: string): AttemptIdentity;
  isInternal(token: string): boolean;
}

export interface Caller {
  user?: Principal;
  attempt?: AttemptIdentity;
}

function bearerOf(request: Request): string {
  const token = /^Bearer +(\S{1,4096})$/i.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined) throw unauthorized("Send a token: Authorization: Bearer …", "token_missing");
  return token;
}

/** Who calls. Rejects with 401 when the operation is not for them. */
export async function allow(op: Operation, request: Request, check: AccessCheck): Promise<Caller> {
  switch (op.access) {
    case "public":
      return {};
    case "user":
      return { user: await check.user(bearerOf(request)) };
    case "internal":
      if (!check.isInternal(bearerOf(request))) throw unauthorized("This is for the platform's own services");
      return {};
    case "attempt": {
      const attempt = check.attempt(bearerOf(request));
      if (String(attempt.job_id) !== request.params.job_id)
        throw unauthorized("The token belongs to another job", "token_of_other_job");
      return { attempt };
    }
  }
}
