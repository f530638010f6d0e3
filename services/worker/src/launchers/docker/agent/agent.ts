/**
 * The docker agent: the one process that may reach the Docker engine. It launches trainers of this platform's frameworks
 * in a fixed enclosure, and reads, signals and removes those containers; there is no way to ask it for anything else.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import { closeServer } from "@vision-platform/common/lifecycle";
import type { Logger } from "@vision-platform/common/logger";
import express from "express";
import type { AgentConfig } from "./config.ts";
import { createContainers } from "./containers.ts";
import { connectEngine } from "./engine.ts";
import { createExits } from "./exits.ts";
import { createImages } from "./images.ts";
import { createLaunches } from "./launches.ts";
import { launch } from "./launching.ts";
import { createNetworks } from "./networks.ts";
import { createRelays } from "./relays.ts";
import { createRoutes, refuse } from "./routes.ts";
import { sweep } from "./sweep.ts";

/** Of a whole request, which comes from the same machine. */
const RECEIVE_LIMIT_MS = 5_000;
const MAX_CONNECTIONS = 512;

export interface DockerAgent {
  /** Containers go on. */
  stop(): Promise<void>;
}

function isAnswered(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}

/** A socket of a process that was killed is replaced; one that answers is not. */
async function listenAt(server: Server, socket: string): Promise<void> {
  if (await isAnswered(socket)) throw new Error(`another docker agent answers at ${socket}`);
  mkdirSync(dirname(socket), { recursive: true, mode: 0o750 });
  rmSync(socket, { force: true });
  // Nobody but this user may connect in the moment before the mode is set.
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socket, resolve);
    });
  } finally {
    process.umask(before);
  }
  chmodSync(socket, 0o660);
}

/** Rejects when the socket cannot be made; an engine that is away is waited for with each request. */
export async function startDockerAgent(config: AgentConfig, logger: Logger): Promise<DockerAgent> {
  const stopping = new AbortController();
  const engine = connectEngine(config.ENGINE_SOCKET);
  const images = createImages(engine, config);
  const containers = createContainers(engine, config);
  const relays = createRelays(config.RELAYS, logger);
  const networks = createNetworks(engine, config, relays);
  const tools = { engine, config, images, networks };
  const parts = {
    ...{ engine, config, images, containers, networks, logger },
    exits: createExits(engine, containers),
    launches: createLaunches(),
    launch: launch.bind(null, tools),
  };
  const app = express().disable("x-powered-by").disable("etag").use(createRoutes(parts)).use(refuse(logger));
  const limits = { requestTimeout: RECEIVE_LIMIT_MS, headersTimeout: RECEIVE_LIMIT_MS };
  const server = createServer({ ...limits, connectionsCheckingInterval: 1_000 }, app);
  server.maxConnections = MAX_CONNECTIONS;
  await listenAt(server, config.DOCKER_AGENT_SOCKET);
  // Trainers of an earlier agent still run and count on their relays.
  if (config.RELAYS.length > 0) {
    networks.ready(false).catch((error: unknown) => logger.warn({ err: error }, "relays are not open yet"));
  }
  void sweep(containers, stopping.signal, logger);
  return {
    async stop() {
      stopping.abort();
      relays.close();
      await closeServer(server);
    },
  };
}
