/** Trainers as containers of a Docker engine, by way of the docker agent: this process never sees the engine. */
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@vision-platform/common/logger";
import { sourceHash } from "@vision-platform/common/trainer-source";
import type { WorkerConfig } from "../../config.ts";
import {
  type AttemptIds,
  type Exit,
  LaunchError,
  type Launcher,
  type LaunchSpec,
  type Trainer,
  type TrainerIdentity,
} from "../launcher.ts";
import type { AgentState, ExitAnswer, LaunchRequest } from "./agent/protocol.ts";
import { type AgentClient, AgentError, createAgentClient } from "./agent-client.ts";
import { followContainerLog } from "./container-log.ts";

const PROBE_LIMIT_MS = 2_000;
/** So long agent and engine may be away before a container counts as lost with them. */
const AWAY_LIMIT_MS = 600_000;
const RETRY_MS = 500;

interface ContainerTrainer extends Trainer {
  readonly id: string;
  readonly exit: Promise<Exit>;
}

const SIGNALS = Object.fromEntries(Object.entries(constants.signals).map(([name, number]) => [128 + number, name]));

/** tini passes a signal on as 128 and its number, as a shell does. */
function exitOf(answer: Extract<ExitAnswer, { ended: true }>): Exit {
  const signal = (SIGNALS[answer.code] ?? null) as NodeJS.Signals | null;
  const taken = answer.taken ? { taken: answer.taken } : {};
  return { code: signal === null ? answer.code : null, signal, outOfMemory: answer.out_of_memory, ...taken };
}

function asLaunchError(error: unknown): unknown {
  if (!(error instanceof AgentError)) return error;
  return new LaunchError(error.code === "image_missing" ? "IMAGE_MISSING" : "LAUNCH_FAILED", error.message, error);
}

function launchRequest(spec: LaunchSpec): LaunchRequest {
  // Inside, the GPUs it gets are all there are, and count from 0.
  const { CUDA_VISIBLE_DEVICES: _, ...env } = spec.env;
  return {
    job_id: spec.job_id,
    attempt: spec.attempt,
    framework: spec.framework,
    kind: spec.kind,
    trace_id: spec.trace_id,
    marker: spec.marker,
    image: spec.image,
    command: [...spec.command],
    env,
    memory_bytes: spec.memoryBytes,
    cpus: spec.cpus,
    shm_bytes: spec.shmBytes,
    gpus: [...spec.gpus],
    allow_network: spec.allowNetwork,
    nice: spec.nice,
    max_runtime_s: spec.maxRuntimeS,
  };
}

/** Never rejects. */
async function exitOfContainer(agent: AgentClient, id: string, logger: Logger): Promise<Exit> {
  const none = { code: null, signal: null };
  let heard = Date.now();
  for (;;) {
    try {
      const answer = await agent.exit(id);
      heard = Date.now();
      if (answer.ended) return exitOf(answer);
    } catch (error) {
      if (error instanceof AgentError && error.code === "not_found") {
        return { ...none, taken: { by: "removed", message: "the container was removed while it ran" } };
      }
      logger.warn({ err: error, container: id }, "how the container does is not known just now");
      if (Date.now() - heard > AWAY_LIMIT_MS) {
        const message = `the Docker engine did not answer for ${AWAY_LIMIT_MS / 1000} s`;
        return { ...none, taken: { by: "host_lost", message } };
      }
      await sleep(RETRY_MS);
    }
  }
}

/** What is asked of a container that may be gone: then there is nothing to do. */
async function unlessGone(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof AgentError && error.code === "not_found")) throw error;
  }
}

type Settings = Pick<WorkerConfig, "FRAMEWORK" | "TRAINERS_DIR" | "DOCKER_AGENT_SOCKET">;

/** The sources beside the worker may have changed since it chose its launcher: each training says so. */
function warnOfOthers(
  { TRAINERS_DIR }: Settings,
  spec: LaunchSpec,
  launched: { source?: string | null | undefined },
): void {
  const here = sourceHash(TRAINERS_DIR, spec.framework);
  if (here === null || launched.source === undefined || launched.source === here) return;
  const { framework, image: reference } = spec;
  const message = notOfHere({ framework, reference, present: true, source: launched.source });
  spec.onWarning({ code: "image_of_other_sources", message });
}

function agentOf(config: Pick<Settings, "DOCKER_AGENT_SOCKET">): AgentClient {
  if (config.DOCKER_AGENT_SOCKET === undefined) throw new Error("DOCKER_AGENT_SOCKET is not set");
  return createAgentClient(config.DOCKER_AGENT_SOCKET);
}

/** Why an image is not what the sources beside the worker would make. */
function notOfHere({ framework, reference, present, source }: AgentState["images"][number]): string {
  const build = `./vp images build ${framework}`;
  if (!present) return `the image ${reference} is not there: ${build}`;
  if (source === null) return `the image ${reference} does not say what it was built from: ${build}`;
  return `the image ${reference} was built from another state of trainers/${framework}: ${build}`;
}

/**
 * Never rejects; takes 2 s at most. Ready: the agent and its engine answer, and the image is there; built from `source`,
 * unless that is null: where no sources are, nothing is compared.
 */
export async function probeDocker(
  config: Pick<Settings, "DOCKER_AGENT_SOCKET">,
  image: string,
  source: string | null,
): Promise<{ ready: boolean; reason: string }> {
  if (config.DOCKER_AGENT_SOCKET === undefined) return { ready: false, reason: "DOCKER_AGENT_SOCKET is not set" };
  try {
    const { engine, images, pull, network_problem } = await agentOf(config).state(PROBE_LIMIT_MS);
    if (network_problem !== null) return { ready: false, reason: network_problem };
    const known = images.find(({ reference }) => reference === image);
    if (known && source !== null && known.source !== source) return { ready: false, reason: notOfHere(known) };
    if (known?.present) return { ready: true, reason: `Docker ${engine.version} answers and has ${image}` };
    const pulled = pull !== "never" && known !== undefined;
    if (pulled) return { ready: true, reason: `Docker ${engine.version} answers and pulls ${image} when it is needed` };
    return { ready: false, reason: `Docker ${engine.version} answers, but the image ${image} is not there` };
  } catch (error) {
    return { ready: false, reason: (error as Error).message };
  }
}

/** Containers outlive their worker; the next one finds them by their labels. Throws when no agent is configured. */
export function createDockerLauncher(config: Settings, logger: Logger): Launcher {
  const agent = agentOf(config);

  function trainer(ids: AttemptIds, { id, marker }: { id: string; marker: string }, log: string): ContainerTrainer {
    const ended = exitOfContainer(agent, id, logger);
    const written = followContainerLog({ agent, id, file: log, ended, logger });
    const exit = written.then(() => ended);
    return { ids, identity: { marker, handle: id }, id, exit };
  }

  async function listed(): Promise<{ id: string; ids: AttemptIds; identity: TrainerIdentity; state: string }[]> {
    const items = (await agent.list()).filter(({ framework }) => framework === config.FRAMEWORK);
    return items.map(({ id, job_id, attempt, marker, state }) => {
      return { id, ids: { job_id, attempt }, identity: { marker, handle: id }, state };
    });
  }

  return {
    name: "docker",
    outlivesWorker: true,
    surroundings() {
      // PATH is the image's own.
      return { LANG: "C.UTF-8", HOME: "/work", TMPDIR: "/tmp", CACHE_DIR: "/cache", PYTHONUNBUFFERED: "1" };
    },
    async find() {
      const started = (await listed()).filter(({ state }) => state !== "made");
      return started.map(({ ids, identity }) => ({ ...ids, identity }));
    },
    async launch(spec) {
      const ids = { job_id: spec.job_id, attempt: spec.attempt };
      try {
        const launched = await agent.launch(launchRequest(spec), spec.signal, spec.onWaiting);
        warnOfOthers(config, spec, launched);
        return trainer(ids, launched, spec.directory.log);
      } catch (error) {
        // Called off, or cut off: the agent ends what is under way; nothing of it may appear later.
        await agent.callOff(spec.marker).catch(() => undefined);
        throw asLaunchError(error);
      }
    },
    async adopt(ids, identity, directory) {
      const same = (each: { id: string; identity: TrainerIdentity }) =>
        identity.handle === null ? each.identity.marker === identity.marker : each.id === identity.handle;
      const found = (await listed()).find(same);
      if (!found || found.state === "made") return null;
      return trainer(ids, { id: found.id, marker: found.identity.marker }, directory.log);
    },
    async stop(given, signal) {
      const { id, exit } = given as ContainerTrainer;
      await unlessGone(agent.signal(id, signal));
      if (signal === "SIGKILL") await exit;
    },
    wait: (given) => (given as ContainerTrainer).exit,
    remove: (given) => unlessGone(agent.remove((given as ContainerTrainer).id)),
  };
}
