/** Binds the contracts' operations to handlers. Deny by default: who may call is part of the operation. */

import { AppError } from "@vision-platform/common/app-error";
import type { Logger } from "@vision-platform/common/logger";
import { continueTrace, type Trace } from "@vision-platform/common/trace";
import type { BodyOf, Operation, ParamsOf, QueryOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import { OPERATIONS } from "@vision-platform/contracts/api/operations";
import { type NextFunction, type Request, type RequestHandler, type Response, Router } from "express";
import type { Db } from "../db/db.ts";
import { type AccessCheck, type AttemptIdentity, allow, type Principal } from "./access.ts";
import { readBody } from "./body.ts";
import { withDeadline } from "./deadline.ts";
import { type IdempotencyStore, keyOf } from "./idempotency.ts";
import { requestValidator } from "./validation.ts";

export type { AttemptIdentity, Principal } from "./access.ts";

/** What a handler works with; `params`, `query` and `body` have passed the operation's schemas. */
export interface RequestContext<Op extends Operation> {
  params: ParamsOf<Op>;
  query: QueryOf<Op>;
  body: BodyOf<Op>;
  /** Who calls; of operations with access `user` only. */
  user: Op["access"] extends "user" ? Principal : undefined;
  /** Which attempt calls; of operations with access `attempt` only. */
  attempt: Op["access"] extends "attempt" ? AttemptIdentity : undefined;
  /** The transaction of an idempotent operation that came with a key, else the pool. */
  db: Db;
  /** Runs once the work is committed; what goes wrong in it is logged and does not change the answer. */
  afterCommit(effect: () => void | Promise<void>): void;
  trace: Trace;
  logger: Logger;
  request: Request;
  response: Response;
}

/** Resolves with the operation's response body. The handler of a stream writes to `response` itself. */
export type Handler<Op extends Operation> = (context: RequestContext<Op>) => Promise<ResponseOf<Op>>;

export interface Routes {
  /** Throws when the operation is already bound. `limiters` run before the work, once the request is known to be valid. */
  add<Op extends Operation>(op: Op, handler: Handler<Op>, ...limiters: RequestHandler[]): void;
}

export interface RouterOptions {
  db: Db;
  logger: Logger;
  access: AccessCheck;
  idempotency: IdempotencyStore;
  /** For tests: an answer that does not match its schema becomes an error. */
  checkResponses?: boolean;
}

export interface BoundRouter extends Routes {
  /** The express router. Throws when an operation has no handler. */
  complete(): Router;
}

/** `/jobs/{job_id}` as express writes it. */
export const expressPath = (path: string) => path.replace(/\{(\w+)\}/g, ":$1");

export function createRouter(options: RouterOptions): BoundRouter {
  const router = Router({ caseSensitive: true });
  const bound = new Map<string, Operation>();
  return {
    add(op, handler, ...limiters) {
      if (bound.has(op.id)) throw new Error(`operation ${op.id} is bound twice`);
      bound.set(op.id, op);
      router[op.method](expressPath(op.path), handle(op, handler, options, limiters));
    },
    complete() {
      const missing = OPERATIONS.filter((op) => !bound.has(op.id)).map((op) => op.id);
      if (missing.length > 0) throw new Error(`operations without a handler: ${missing.join(", ")}`);
      refuseOtherMethods(router, [...bound.values()]);
      return router;
    },
  };
}

function refuseOtherMethods(router: Router, operations: Operation[]): void {
  const methods = new Map<string, string[]>();
  for (const op of operations) methods.set(op.path, [...(methods.get(op.path) ?? []), op.method.toUpperCase()]);
  for (const [path, allowed] of methods) {
    router.all(expressPath(path), (request, response) => {
      response.setHeader("Allow", allowed.join(", "));
      throw new AppError(`${request.method} is not possible here`, { code: "method_not_allowed", status: 405 });
    });
  }
}

function handle<Op extends Operation>(
  op: Op,
  handler: Handler<Op>,
  options: RouterOptions,
  limiters: RequestHandler[],
) {
  const validate = requestValidator(op);
  const parseBody = readBody(op);

  async function answer(request: Request, response: Response): Promise<void> {
    response.locals.operation = op;
    const caller = await allow(op, request, options.access);
    await parseBody(request, response);
    const input = validate(request);
    for (const limiter of limiters) await runMiddleware(limiter, request, response);
    const effects: (() => void | Promise<void>)[] = [];
    const work = (db: Db) =>
      handler({
        ...input,
        ...caller,
        db,
        afterCommit: (effect: () => void | Promise<void>) => void effects.push(effect),
        trace: traceOf(response),
        get logger() {
          return loggerOf(options.logger, response);
        },
        request,
        response,
      } as RequestContext<Op>);
    const key = op.idempotent ? keyOf(request) : undefined;
    const result =
      key === undefined || caller.user === undefined
        ? { body: await work(options.db), replayed: false }
        : await options.idempotency.once({ user_id: caller.user.user_id, op, key, input }, work);
    for (const effect of effects) runEffect(effect, () => loggerOf(options.logger, response));
    if (op.stream) return;
    if (result.replayed) response.setHeader("Idempotency-Replayed", "true");
    if (options.checkResponses && op.response !== null) op.response.parse(JSON.parse(JSON.stringify(result.body)));
    response.status(op.status);
    if (op.response === null) response.end();
    else response.json(result.body);
  }

  return (request: Request, response: Response, next: NextFunction) => {
    const work = answer(request, response);
    (op.stream ? work : withDeadline(work)).catch(next);
  };
}

/** Begins a side effect of committed work; the answer does not wait for it. */
function runEffect(effect: () => void | Promise<void>, logger: () => Logger): void {
  Promise.resolve()
    .then(effect)
    .catch((error: unknown) => logger().error({ err: error }, "a side effect of committed work failed"));
}

function runMiddleware(middleware: RequestHandler, request: Request, response: Response): Promise<void> {
  return new Promise((resolve, reject) => {
    const next: NextFunction = (error?: unknown) => (error ? reject(error) : resolve());
    Promise.resolve(middleware(request, response, next)).catch(reject);
  });
}

/** The request's trace; begun by the first middleware, see telemetry.ts. */
export function traceOf(response: Response): Trace {
  const trace = response.locals.trace as Trace | undefined;
  return trace ?? continueTrace(undefined);
}

/** A logger whose lines carry the request's trace id; made when it is needed only, which is seldom. */
export function loggerOf(logger: Logger, response: Response): Logger {
  return logger.child({ trace_id: traceOf(response).trace_id });
}
