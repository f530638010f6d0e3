/** Which launcher a worker works with: said by TRAINING_EXECUTION_MODE, or found out once when the worker starts. */
import { existsSync } from "node:fs";
import { ConfigError } from "@vision-platform/common/config";
import type { Logger } from "@vision-platform/common/logger";
import { sourceHash } from "@vision-platform/common/trainer-source";
import type { LauncherName } from "@vision-platform/contracts/api/workers";
import type { WorkerConfig } from "../config.ts";
import { createDockerLauncher, probeDocker } from "./docker/docker-launcher.ts";
import type { Launcher } from "./launcher.ts";
import { createSubprocessLauncher } from "./subprocess.ts";

/** Every pod of a service account that may speak to its cluster has this file. */
const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** What a heartbeat takes. */
const MAX_REASON = 500;

const NO_AGENT =
  "DOCKER_AGENT_SOCKET: it is not set; expected the path of the docker agent's socket, because TRAINING_EXECUTION_MODE is docker";

export interface ChosenLauncher {
  launcher: Launcher;
  /** In words for people. */
  reason: string;
}

async function create(name: LauncherName, config: WorkerConfig, logger: Logger): Promise<Launcher> {
  if (name === "docker") {
    if (config.DOCKER_AGENT_SOCKET === undefined) throw new ConfigError("worker", [NO_AGENT]);
    return createDockerLauncher(config, logger);
  }
  if (name === "subprocess") return createSubprocessLauncher(config);
  // Its client takes most of a second and 80 MB: only those who need it load it.
  const { createKubernetesLauncher } = await import("./kubernetes/kubernetes-launcher.ts");
  return createKubernetesLauncher(config, logger);
}

type Choice = { name: LauncherName; reason: string };
type Look = { ready: boolean; reason: string };

/** Whether containers would run what TRAINERS_DIR holds. Never rejects. */
async function lookAtDocker(config: WorkerConfig, image: () => string, source: string | null): Promise<Look> {
  try {
    return await probeDocker(config, image(), source);
  } catch (error) {
    // Without its manifest nobody knows the image; the first attempt will say what is wrong with it.
    return { ready: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** What was asked for is done; where the sources lie beside the worker, it says when containers run others. */
async function obey(mode: LauncherName, config: WorkerConfig, image: () => string, logger: Logger): Promise<Choice> {
  const asked = `TRAINING_EXECUTION_MODE=${mode}`;
  const source = mode === "docker" ? sourceHash(config.TRAINERS_DIR, config.FRAMEWORK) : null;
  if (source === null) return { name: mode, reason: asked };
  const { ready, reason } = await lookAtDocker(config, image, source);
  if (ready) return { name: mode, reason: asked };
  logger.warn({ reason }, "trainers run in containers, as asked, which are not of the sources beside this worker");
  return { name: mode, reason: `${asked}, though ${reason}` };
}

async function decide(config: WorkerConfig, image: () => string, logger: Logger): Promise<Choice> {
  const mode = config.TRAINING_EXECUTION_MODE;
  if (mode !== "auto") return await obey(mode, config, image, logger);
  if (existsSync(SERVICE_ACCOUNT_TOKEN)) return { name: "kubernetes", reason: "the worker runs in a cluster" };
  if (config.DOCKER_AGENT_SOCKET === undefined) return { name: "subprocess", reason: "no docker agent is configured" };
  const docker = await lookAtDocker(config, image, sourceHash(config.TRAINERS_DIR, config.FRAMEWORK));
  return { name: docker.ready ? "docker" : "subprocess", reason: docker.reason };
}

/**
 * `auto` takes Kubernetes in a cluster, Docker when its agent answers and this framework's `image` is there and of the
 * sources in TRAINERS_DIR, if there are any, else processes. Rejects with ConfigError when the launcher's own settings are wrong.
 */
export async function chooseLauncher(
  config: WorkerConfig,
  image: () => string,
  logger: Logger,
): Promise<ChosenLauncher> {
  const { name, reason: why } = await decide(config, image, logger);
  const reason = why.slice(0, MAX_REASON);
  logger.info({ launcher: name, reason }, "trainers are started by this launcher");
  return { launcher: await create(name, config, logger), reason };
}
