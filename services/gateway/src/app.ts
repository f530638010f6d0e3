/** The express application: what every request passes, and where it ends. */
import { createServer, type Server } from "node:http";
import { notFound } from "@vision-platform/common/app-error";
import cors from "cors";
import express, { type Express } from "express";
import helmet from "helmet";
import { attemptsRoutes } from "./attempts/attempts.routes.ts";
import { authRoutes } from "./auth/auth.routes.ts";
import { callbacksRoutes } from "./callbacks/callbacks.routes.ts";
import { datasetsRoutes } from "./datasets/datasets.routes.ts";
import { docsRouter } from "./docs/docs.router.ts";
import type { Gateway } from "./gateway.ts";
import { createIdempotencyStore } from "./http/idempotency.ts";
import { problemHandler } from "./http/problem.ts";
import { createRouter } from "./http/router.ts";
import { observing, tracing } from "./http/telemetry.ts";
import { jobsRoutes } from "./jobs/jobs.routes.ts";
import { modelsRoutes } from "./models/models.routes.ts";
import { projectsRoutes } from "./projects/projects.routes.ts";
import { subscriptionsRoutes } from "./subscriptions/subscriptions.routes.ts";

/** Each binds the operations of its folder. */
const FEATURES = [
  authRoutes,
  projectsRoutes,
  datasetsRoutes,
  modelsRoutes,
  jobsRoutes,
  attemptsRoutes,
  callbacksRoutes,
  subscriptionsRoutes,
];

export interface AppOptions {
  /** For tests: an answer that does not match its schema becomes an error. */
  checkResponses?: boolean;
}

/** Answers on keep-alive connections; half a minute of silence ends one, and a request must have arrived within one. */
export function createGatewayServer(gateway: Gateway, options: AppOptions = {}): Server {
  return createServer({ keepAliveTimeout: 30_000, requestTimeout: 60_000 }, createApp(gateway, options));
}

/** Throws when an operation of the contracts is bound twice or not at all. */
function createApp(gateway: Gateway, options: AppOptions): Express {
  const { config, health } = gateway;
  const app = express();
  app.disable("x-powered-by");
  // Answers change with every event: hashing each for an ETag buys nothing.
  app.disable("etag");
  app.set("query parser", "simple");
  app.set("trust proxy", config.TRUST_PROXY);

  app.use(tracing(), observing(gateway.logger, health.registry));
  app.use(
    helmet({
      contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] }, useDefaults: false },
    }),
  );
  app.use(
    cors({
      origin: config.CORS_ORIGINS,
      exposedHeaders: ["X-Trace-Id", "Retry-After", "Idempotency-Replayed"],
      maxAge: 600,
    }),
  );
  app.use(health.router);
  app.use(docsRouter());
  app.use(operations(gateway, options));
  app.use((request) => {
    throw notFound(`Nothing is at ${request.path}`, "route_not_found");
  });
  app.use(problemHandler(gateway.logger));
  return app;
}

function operations(gateway: Gateway, options: AppOptions) {
  const router = createRouter({
    db: gateway.db,
    logger: gateway.logger,
    access: {
      user: (token) => gateway.verifyUser(token),
      attempt: (token) => gateway.tokens.verifyCallbackToken(token),
      isInternal: (token) => gateway.tokens.isInternal(token),
    },
    idempotency: createIdempotencyStore(gateway.db),
    ...options,
  });
  for (const bind of FEATURES) bind(router, gateway);
  return router.complete();
}
