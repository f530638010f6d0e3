/** The agent's few operations, over HTTP. Everything that comes in is checked before the engine hears of it. */
import type { Logger } from "@vision-platform/common/logger";
import type Docker from "dockerode";
import express, { type NextFunction, type Request, type Response, Router } from "express";
import { z } from "zod";
import type { AgentConfig } from "./config.ts";
import { sendLog } from "./container-logs.ts";
import { LOG_FILES } from "./container-spec.ts";
import type { Containers } from "./containers.ts";
import { readDisk } from "./disk.ts";
import { answered } from "./engine.ts";
import type { Exits } from "./exits.ts";
import type { Images } from "./images.ts";
import type { Launched, Launches } from "./launches.ts";
import type { Networks } from "./networks.ts";
import {
  type AgentState,
  ContainerId,
  type LaunchLine,
  LaunchRequest,
  MAX_BODY_BYTES,
  Marker,
  SignalRequest,
} from "./protocol.ts";
import { AgentRefusal, asRefusal } from "./refusals.ts";

/** A question for an exit is answered after this at the latest; who wants to wait longer asks again. */
const EXIT_WAIT_MS = 50_000;

export interface AgentParts {
  engine: Docker;
  config: AgentConfig;
  images: Images;
  containers: Containers;
  exits: Exits;
  networks: Networks;
  launches: Launches;
  launch: (
    request: LaunchRequest,
    signal: AbortSignal,
    waiting: (what: { message: string; pct: number | null }) => void,
  ) => Promise<Launched>;
  logger: Logger;
}

/** Throws AgentRefusal `bad_request` that names each wrong field. */
function read<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `${issue.path.join(".") || "the request"}: ${issue.message}`);
  throw new AgentRefusal("bad_request", lines.slice(0, 10).join("; "));
}

/** Aborted when the client goes away before it has its whole answer. */
function clientGone(response: Response): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort(new Error("the client went away"));
  });
  return gone.signal;
}

async function readState(parts: AgentParts): Promise<AgentState> {
  const { engine, config, images } = parts;
  const info = (await answered(engine.info())) as { ServerVersion: string; CgroupVersion?: string };
  const known = images.all().map(async (each) => ({ ...each, ...(await images.look(each.reference)) }));
  return {
    instance: config.PLATFORM_INSTANCE,
    engine: { version: info.ServerVersion, cgroup: info.CgroupVersion ?? "1" },
    images: await Promise.all(known),
    pull: config.IMAGE_PULL,
    network_problem: await parts.networks.ready(false).then(
      () => null,
      (error: unknown) => asRefusal(error).message,
    ),
    disk: await readDisk(engine, config),
    log: {
      file_bytes: Math.ceil(config.LOG_BYTES / LOG_FILES),
      kept_bytes: Math.floor((config.LOG_BYTES * (LOG_FILES - 1)) / LOG_FILES),
    },
  };
}

async function answerLaunch(parts: AgentParts, request: Request, response: Response): Promise<void> {
  const asked = read(LaunchRequest, request.body);
  const gone = clientGone(response);
  const logger = parts.logger.child({ job_id: asked.job_id, attempt: asked.attempt, trace_id: asked.trace_id });
  response.type("application/x-ndjson");
  const say = (line: LaunchLine) => response.write(`${JSON.stringify(line)}\n`);
  try {
    const work = (signal: AbortSignal) => parts.launch(asked, signal, (waiting) => say({ waiting }));
    const launched = await parts.launches.run(asked, gone, work);
    logger.info({ container: launched.id }, "container started");
    say({ launched });
  } catch (error) {
    const { code, message } = asRefusal(error);
    logger.warn({ code, reason: message }, "not launched");
    say({ refused: { code, message } });
  }
  response.end();
}

/** The long waits: an answer within EXIT_WAIT_MS. */
async function answerExit(parts: AgentParts, id: string, response: Response): Promise<void> {
  const signal = AbortSignal.any([clientGone(response), AbortSignal.timeout(EXIT_WAIT_MS)]);
  response.json(await parts.exits.wait(id, signal));
}

async function answerLog(parts: AgentParts, id: string, from: number, response: Response): Promise<void> {
  const { container } = await parts.containers.own(id);
  response.type("application/octet-stream");
  // The reader may take what there is before the next byte is written.
  response.flushHeaders();
  await sendLog(container, from, response, clientGone(response));
}

const LogQuery = z.strictObject({ from: z.coerce.number().int().min(0).default(0) });

export function createRoutes(parts: AgentParts): Router {
  const { containers, launches } = parts;
  const idOf = (request: Request) => read(ContainerId, request.params.id);
  const router = Router({ caseSensitive: true, strict: true });
  router.use(express.json({ limit: MAX_BODY_BYTES, strict: true }));
  router.get("/health", async (_request, response) => {
    await answered(parts.engine.ping());
    response.json({ status: "ok" });
  });
  router.get("/v1/state", async (_request, response) => response.json(await readState(parts)));
  router.post("/v1/launches", (request, response) => answerLaunch(parts, request, response));
  router.delete("/v1/launches/:marker", async (request, response) => {
    await launches.callOff(read(Marker, request.params.marker));
    response.status(204).end();
  });
  router.get("/v1/containers", async (_request, response) => response.json({ items: await containers.list() }));
  router.get("/v1/containers/:id/exit", (request, response) => answerExit(parts, idOf(request), response));
  router.get("/v1/containers/:id/log", (request, response) =>
    answerLog(parts, idOf(request), read(LogQuery, request.query).from, response),
  );
  router.post("/v1/containers/:id/signal", async (request, response) => {
    await containers.signal(idOf(request), read(SignalRequest, request.body).signal);
    response.status(204).end();
  });
  router.delete("/v1/containers/:id", async (request, response) => {
    await containers.remove(idOf(request));
    response.status(204).end();
  });
  router.use(() => {
    throw new AgentRefusal("not_found", "there is no such operation");
  });
  return router;
}

/** The last of the chain: every error becomes a Refusal; a stream that had begun is cut off. */
export function refuse(logger: Logger) {
  return (error: unknown, request: Request, response: Response, _next: NextFunction): void => {
    const status = (error as { status?: unknown }).status;
    const unreadable = typeof status === "number" && status >= 400 && status < 500 && !(error instanceof AgentRefusal);
    const refusal = unreadable ? new AgentRefusal("bad_request", String((error as Error).message)) : asRefusal(error);
    if (refusal.code === "internal") logger.error({ err: error, path: request.path }, "request failed");
    if (response.headersSent) response.destroy();
    else response.status(refusal.status).json({ code: refusal.code, message: refusal.message });
  };
}
