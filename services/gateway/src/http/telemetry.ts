/** One log line and one measurement for each request, both with the operation's name rather than its address. */

import type { Logger } from "@vision-platform/common/logger";
import { continueTrace, type Trace } from "@vision-platform/common/trace";
import type { Operation } from "@vision-platform/contracts/api/operation";
import type { RequestHandler, Response } from "express";
import { pinoHttp } from "pino-http";
import { Histogram, type Registry } from "prom-client";

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];

function operationOf(response: Response): Operation | undefined {
  return response.locals.operation as Operation | undefined;
}

/** Begins or continues the W3C trace, and tells the caller its id. */
export function tracing(): RequestHandler {
  return (request, response, next) => {
    const trace = continueTrace(request.get("traceparent"));
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

export function requestLog(logger: Logger): RequestHandler {
  return pinoHttp({
    logger,
    quietReqLogger: true,
    quietResLogger: true,
    genReqId: (_request, response) => ((response as Response).locals.trace as Trace).trace_id,
    customAttributeKeys: { reqId: "trace_id" },
    customLogLevel: (_request, response, error) => (error ? "warn" : levelOf(response as Response)),
    customProps: (request, response) => ({
      method: request.method,
      operation: operationOf(response as Response)?.id,
      path: request.url?.split("?", 1)[0],
      status: response.statusCode,
    }),
    customSuccessMessage: () => "request",
    customErrorMessage: () => "request",
    autoLogging: { ignore: (request) => /^\/(health|ready|metrics)$/.test(request.url ?? "") },
  }) as unknown as RequestHandler;
}

/** `http_request_duration_seconds{method,route,status}`; unknown addresses share one label. */
export function requestMetrics(registry: Registry): RequestHandler {
  const duration = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time from the request's first byte to the answer's last",
    labelNames: ["method", "route", "status"],
    buckets: BUCKETS,
    registers: [registry],
  });
  return (request, response, next) => {
    const begin = process.hrtime.bigint();
    response.once("close", () => {
      const op = operationOf(response);
      if (op?.stream) return;
      const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
      duration.observe({ method: request.method, route: op?.path ?? "other", status: response.statusCode }, seconds);
    });
    next();
  };
}
