import { createHash } from "node:crypto";
import { join } from "node:path";
import { SERVICE_NODE_OPTIONS } from "@vision-platform/common/node-options";
import { relayedDoors } from "@vision-platform/common/relayed-address";
import { AGENT_SETTINGS, baseEnvironment, givenSettings, type Settings } from "./config.ts";
import { ask, engineAnswers } from "./engine.ts";
import type { Part } from "./part.ts";
import { ROOT, type VpPaths } from "./paths.ts";

/** The addresses that workers use, and that trainers in containers must reach too. */
type Doors = { gateway_url: string; redis_url: string; s3_endpoint: string };

/** The agent as a part of the platform, and what every worker must be told of it. */
export type LaptopAgent = { part: Part; workerEnv: Record<string, string> };

/** Checkouts of one machine may share an engine or a namespace, and each counts its jobs from 1. */
export function platformInstance({ dir }: Pick<VpPaths, "dir">): string {
  return `laptop-${createHash("sha256").update(dir).digest("hex").slice(0, 8)}`;
}

/**
 * The docker agent of this checkout. Null when the platform does not launch containers: with TRAINING_EXECUTION_MODE
 * subprocess or kubernetes, and with auto where no engine answers.
 */
export async function laptopAgent(settings: Settings, paths: VpPaths, doors: Doors): Promise<LaptopAgent | null> {
  const mode = settings.TRAINING_EXECUTION_MODE ?? "auto";
  if (mode !== "docker" && (mode !== "auto" || !(await engineAnswers()))) return null;
  const socket = join(paths.run, "docker-agent.sock");
  const { worker, RELAYS } = relayedDoors(doors);
  const env = {
    ...baseEnvironment(),
    NODE_ENV: "production",
    DOCKER_AGENT_SOCKET: socket,
    TRAINERS_DIR: join(ROOT, "trainers"),
    RELAYS,
    LOG_LEVEL: settings.LOG_LEVEL,
    PLATFORM_INSTANCE: platformInstance(paths),
    ...givenSettings(settings, AGENT_SETTINGS),
  };
  const part: Part = {
    name: "docker-agent",
    command: process.execPath,
    args: [...SERVICE_NODE_OPTIONS, join(ROOT, "services/worker/src/launchers/docker/agent/main.ts")],
    env,
    cwd: ROOT,
    stopSignal: "SIGTERM",
    ready: () =>
      ask(socket, "/health").then(
        () => null,
        (error: Error) => error.message,
      ),
    address: `unix:${socket}`,
  };
  return { part, workerEnv: { DOCKER_AGENT_SOCKET: socket, ...worker } };
}
