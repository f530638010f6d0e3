/** OpenAPI 3.1 of every operation. */
import { OpenAPIRegistry, OpenApiGeneratorV31, type RouteConfig } from "@asteasolutions/zod-to-openapi";
import { z } from "zod";
import { type Operation, Problem } from "../api/operation.ts";
import { OPERATIONS } from "../api/operations.ts";

const PROBLEM_TITLES: Record<number, string> = {
  400: "The request does not fit the state of things",
  401: "Not signed in, or the token is not valid here",
  403: "Not allowed",
  404: "Not found",
  409: "In conflict with what is there",
  422: "A field is wrong",
  429: "Too many requests",
  503: "A part of the platform is away; try again",
};

function successOf(op: Operation): RouteConfig["responses"][string] {
  if (op.response === null) return { description: op.summary };
  const type = op.stream ? "text/event-stream" : "application/json";
  return { description: op.summary, content: { [type]: { schema: op.response } } };
}

function routeOf(op: Operation): RouteConfig {
  const statuses = new Set([...(op.access === "public" ? [] : [401]), 422, 503, ...(op.problems ?? [])]);
  const problems = [...statuses]
    .sort()
    .map((status) => [
      status,
      { description: PROBLEM_TITLES[status] ?? "Error", content: { "application/problem+json": { schema: Problem } } },
    ]);
  const headers = op.idempotent
    ? { headers: z.object({ "Idempotency-Key": z.string().min(1).max(200).optional() }) }
    : {};
  return {
    operationId: op.id,
    method: op.method,
    path: op.path,
    summary: op.summary,
    tags: [op.tag],
    security: op.access === "public" ? [] : [{ [op.access]: [] }],
    request: {
      ...(op.params ? { params: op.params } : {}),
      ...(op.query ? { query: op.query } : {}),
      ...(op.body ? { body: { required: true, content: { "application/json": { schema: op.body } } } } : {}),
      ...headers,
    },
    responses: { [op.status]: successOf(op), ...Object.fromEntries(problems) },
  };
}

/** The whole document, ready to be written as JSON. */
export function openApiDocument(): object {
  const registry = new OpenAPIRegistry();
  const bearer = (description: string) => ({ type: "http", scheme: "bearer", description }) as const;
  registry.registerComponent("securitySchemes", "user", bearer("A person's access token, or an API key (vp_…)"));
  registry.registerComponent("securitySchemes", "internal", bearer("INTERNAL_TOKEN: services of the platform only"));
  registry.registerComponent("securitySchemes", "attempt", bearer("The callback token of one job and attempt"));
  for (const op of OPERATIONS) registry.registerPath(routeOf(op));
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: "3.1.0",
    info: { title: "Vision Platform", version: "1", description: "Self-hosted training of vision models." },
    servers: [{ url: "/" }],
  });
}
