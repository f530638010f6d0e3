/** One log line and one measurement for each request, both with the operation's name rather than its address. */
import type { Logger } from "@vision-platform/common/logger";
import { continueTrace, readTraceparent, type Trace } from "@vision-platform/common/trace";
import { isTracing, type Span, startSpan } from "@vision-platform/common/tracing";
import type { Operation } from "@vision-platform/contracts/api/operation";
import type { Request, RequestHandler, Response } from "express";
import { Histogram, type Registry } from "prom-client";

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
const UNLOGGED = new Set(["/health", "/ready", "/metrics"]);

const operationOf = (response: Response) => response.locals.operation as Operation | undefined;

/** Workers, trainers and notifiers call many times a second: only what they send within a trace is worth a span. */
const MACHINES = /^\/(internal\/)?v1\//;

/**
 * The span of a request; undefined when none is wanted. Its name is the operation's, known once it is answered. Streams
 * have none: they last for as long as somebody looks.
 */
function requestSpan(request: Request, response: Response): Span | undefined {
  const { method, path } = request;
  const parent = request.get("traceparent");
  if (!isTracing() || UNLOGGED.has(path)) return undefined;
  if (MACHINES.test(path) && readTraceparent(parent) === undefined) return undefined;
  const span = startSpan(method, { kind: "server", parent, attributes: { "http.request.method": method } });
  response.once("close", () => {
    const op = operationOf(response);
    if (op?.stream) return;
    span.rename(op === undefined ? method : `${method} ${op.path}`);
    span.set({ "http.route": op?.path, "http.response.status_code": response.statusCode });
    span.end(response.statusCode >= 500 ? { error: `status ${response.statusCode}` } : {});
  });
  return span;
}

function traceOfSpan({ traceparent }: Span): Trace {
  return { trace_id: readTraceparent(traceparent)?.trace_id ?? "", traceparent };
}

/** Begins or continues the W3C trace, and tells the caller its id. */
export function tracing(): RequestHandler {
  return (request, response, next) => {
    const span = requestSpan(request, response);
    const trace = span ? traceOfSpan(span) : continueTrace(request.get("traceparent"));
    response.locals.trace = trace;
    response.setHeader("X-Trace-Id", trace.trace_id);
    response.setHeader("traceparent", trace.traceparent);
    next();
  };
}

/** Workers and trainers call many times a second: their successes are for debugging only. */
function levelOf(response: Response): "debug" | "info" | "warn" {
  if (response.statusCode >= 500) return "warn";
  const access = operationOf(response)?.access;
  return access === "internal" || access === "attempt" ? "debug" : "info";
}

/**
 * `http_request_duration_seconds{method,route,status}` (unknown addresses share a route; streams are not measured), and
 * the request's line. pino-http would make three loggers for each request, and cut out secrets where there are none.
 */
export function observing(logger: Logger, registry: Registry): RequestHandler {
  const lines = logger.child({}, { redact: [] });
  const duration = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time from the request's first byte to the answer's last",
    labelNames: ["method", "route", "status"],
    buckets: BUCKETS,
    registers: [registry],
  });

  function observe(request: Request, response: Response, path: string, begin: number): void {
    const milliseconds = performance.now() - begin;
    const op = operationOf(response);
    const status = response.statusCode;
    const { method } = request;
    if (!op?.stream) duration.observe({ method, route: op?.path ?? "other", status }, milliseconds / 1000);
    if (UNLOGGED.has(path)) return;
    const line = {
      trace_id: response.locals.trace.trace_id,
      operation: op?.id,
      method,
      path,
      status,
      ms: Math.round(milliseconds * 10) / 10,
    };
    lines[levelOf(response)](response.writableFinished ? line : { ...line, aborted: true }, "request");
  }

  return (request, response, next) => {
    const { path } = request;
    const begin = performance.now();
    response.once("close", () => observe(request, response, path, begin));
    next();
  };
}
