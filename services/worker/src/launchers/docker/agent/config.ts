/** The docker agent's settings; the one place of it that reads the environment. */
import { resolve } from "node:path";
import { loadConfig, setting } from "@vision-platform/common/config";
import { PLATFORM_VERSION } from "@vision-platform/common/version";
import { z } from "zod";
import type { AttemptIds } from "../../launcher.ts";
import { attemptObjectName, platformInstance, USUAL_INSTANCE } from "../../platform-instance.ts";

const GIB = 1_073_741_824;
const bytes = (least: number) => z.coerce.number().int().min(least);
const folder = z
  .string()
  .min(1)
  .transform((path) => resolve(path));
const name = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/);

/** An endpoint that trainers may reach: under which name and port, and where it really is. */
export interface Relay {
  name: string;
  port: number;
  target: { host: string; port: number };
}

const RELAY = /^([a-zA-Z0-9][a-zA-Z0-9.-]{0,252}):(\d{1,5})(?:=([a-zA-Z0-9.:[\]-]{1,253}):(\d{1,5}))?$/;

function readRelay(text: string): Relay | null {
  const [, alias = "", port = "", host, hostPort] = RELAY.exec(text.trim()) ?? [];
  const relay = { name: alias, port: Number(port), target: { host: host ?? alias, port: Number(hostPort ?? port) } };
  const sound = [relay.port, relay.target.port].every((each) => each >= 1 && each <= 65_535);
  return alias !== "" && sound ? relay : null;
}

const relays = z.string().transform((text, context): Relay[] => {
  const parts = text.split(",").filter((part) => part.trim() !== "");
  return parts.map((part) => {
    const relay = readRelay(part);
    if (!relay) context.addIssue({ code: "custom", message: `${part} is not name:port or name:port=host:port` });
    return relay ?? { name: "", port: 0, target: { host: "", port: 0 } };
  });
});

const schema = z.object({
  DOCKER_AGENT_SOCKET: folder.describe("the path of the socket that workers reach the agent by"),
  DOCKER_HOST: z
    .string()
    .regex(/^unix:\/\/\/.+/)
    .default("unix:///var/run/docker.sock")
    .describe("the engine's socket, such as unix:///var/run/docker.sock"),
  PLATFORM_INSTANCE: platformInstance,
  TRAINERS_DIR: folder.describe("the folder that holds <framework>/trainer.json"),
  IMAGE_REGISTRY: z
    .string()
    .regex(/^([a-zA-Z0-9][a-zA-Z0-9._:/-]*\/)?$/)
    .default("")
    .describe("what stands before an image's name, with a slash at its end, such as ghcr.io/someone/"),
  IMAGE_TAG: z
    .string()
    .regex(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/)
    .default(PLATFORM_VERSION)
    .describe("the tag of the trainers' images"),
  IMAGE_PULL: z.enum(["missing", "never", "always"]).optional().describe("missing, never or always"),
  IMAGE_PULL_USERNAME: z.string().optional().describe("the user at the registry"),
  IMAGE_PULL_PASSWORD: z.string().optional().describe("the password at the registry"),
  ALLOW_NETWORK: setting.flag.default(false),
  JOBS_NETWORK: name.optional().describe("the name of the network that trainers are in"),
  RELAYS: relays.default([]).describe("name:port=host:port, separated by commas"),
  RELAY_ADDRESS: z.union([z.ipv4(), z.ipv6()]).optional().describe("an address of this machine that trainers reach"),
  CACHE_VOLUME: name.optional().describe("the name of the volume with the trainers' shared cache"),
  CACHE_HOST_DIR: z
    .string()
    .regex(/^\/[^:]+$/)
    .optional()
    .describe("an absolute folder of the host, without a colon"),
  WORK_BYTES: bytes(1_048_576)
    .default(4 * GIB)
    .describe("bytes that /work may hold, at least 1 MiB"),
  TMP_BYTES: bytes(1_048_576).default(GIB).describe("bytes that /tmp may hold, at least 1 MiB"),
  PIDS_LIMIT: z.coerce.number().int().min(16).max(100_000).default(4_096).describe("processes, 16 to 100000"),
  LOG_BYTES: bytes(1_048_576).default(268_435_456).describe("bytes kept of a trainer's output, at least 1 MiB"),
  MIN_FREE_BYTES: bytes(0)
    .default(2 * GIB)
    .describe("bytes that must be free on the engine's disk for a launch"),
  ENGINE_DISK: folder.optional().describe("a folder that lies on the engine's disk"),
  LOG_LEVEL: setting.logLevel,
});

/** Names of several platforms on one engine must differ; the usual one has the plain names. */
function instanceName(instance: string, what: string): string {
  return instance === USUAL_INSTANCE ? `vision-platform-${what}` : `vision-platform-${instance}-${what}`;
}

/** Throws ConfigError with a line for each wrong variable. */
export function readAgentConfig(environment: Record<string, string | undefined> = process.env) {
  const given = loadConfig("docker agent", schema, environment);
  const instance = given.PLATFORM_INSTANCE;
  return {
    ...given,
    ENGINE_SOCKET: given.DOCKER_HOST.slice("unix://".length),
    /** Of the container of an attempt. */
    containerName: (ids: AttemptIds) => attemptObjectName(instance, ids),
    JOBS_NETWORK: given.JOBS_NETWORK ?? instanceName(instance, "jobs"),
    OPEN_NETWORK: instanceName(instance, "open"),
    CACHE_VOLUME: given.CACHE_VOLUME ?? instanceName(instance, "cache"),
    // Without a registry the engine would ask Docker Hub for names that anybody may take there.
    IMAGE_PULL: given.IMAGE_PULL ?? (given.IMAGE_REGISTRY === "" ? ("never" as const) : ("missing" as const)),
  };
}
export type AgentConfig = ReturnType<typeof readAgentConfig>;

/** For the health check, which needs nothing but the socket. Throws ConfigError. */
export function readAgentSocket(environment: Record<string, string | undefined> = process.env): string {
  return loadConfig("docker agent", schema.pick({ DOCKER_AGENT_SOCKET: true }), environment).DOCKER_AGENT_SOCKET;
}
