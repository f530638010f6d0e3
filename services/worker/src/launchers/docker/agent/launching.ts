/** From a request to a running container, or to nothing at all. */
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import type { AgentConfig } from "./config.ts";
import { containerSpec } from "./container-spec.ts";
import { requireRoom } from "./disk.ts";
import { answered, change, question } from "./engine.ts";
import type { Images } from "./images.ts";
import { readLabels } from "./labels.ts";
import type { Launched } from "./launches.ts";
import type { Networks } from "./networks.ts";
import type { LaunchRequest } from "./protocol.ts";
import { AgentRefusal, engineMessage, engineStatus, isEngineAway } from "./refusals.ts";

/** An engine that is restarted answers again within this time. */
const ENGINE_LIMIT_MS = 60_000;
const ENGINE_LOOK_MS = 500;

export interface LaunchTools {
  engine: Docker;
  config: AgentConfig;
  images: Images;
  networks: Networks;
}

type Waiting = (what: { message: string; pct: number | null }) => void;

async function untilEngineAnswers(engine: Docker, signal: AbortSignal, waiting: Waiting): Promise<void> {
  const deadline = Date.now() + ENGINE_LIMIT_MS;
  for (;;) {
    try {
      await answered(engine.ping());
      return;
    } catch (error) {
      if (!isEngineAway(error) || Date.now() > deadline) throw error;
    }
    waiting({ message: "the Docker engine does not answer", pct: null });
    await sleep(ENGINE_LOOK_MS, undefined, { signal });
  }
}

async function discard(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true, ...change() });
  } catch (error) {
    if (engineStatus(error) !== 404) throw error;
  }
}

/**
 * The container that has the name already. One that never ran is what a launch left that was cut off, and goes; null
 * then. Any other one of this attempt is the attempt.
 */
async function standing(tools: LaunchTools, request: LaunchRequest): Promise<Launched | null> {
  const { engine, config } = tools;
  const name = config.containerName(request);
  const container = engine.getContainer(name);
  const info = await container.inspect(question());
  const labels = readLabels(config.PLATFORM_INSTANCE, info.Config.Labels);
  if (labels?.job_id !== request.job_id || labels.attempt !== request.attempt) {
    const fix = "rename or remove it, or give this platform a PLATFORM_INSTANCE of its own";
    throw new AgentRefusal("conflict", `there is a container ${name} that is not of this platform; ${fix}`);
  }
  if (info.State.Status !== "created") return { id: info.Id, marker: labels.marker };
  await discard(container);
  return null;
}

function explained(error: unknown): AgentRefusal {
  const said = engineMessage(error);
  const gpu = said.includes("could not select device driver");
  const fix = gpu ? "; the engine's host needs the NVIDIA container toolkit" : "";
  return new AgentRefusal("launch_failed", `the engine does not start the container: ${said}${fix}`, error);
}

/** The created container, or the one that the attempt has already. */
async function create(tools: LaunchTools, request: LaunchRequest, spec: Docker.ContainerCreateOptions) {
  try {
    return { made: await tools.engine.createContainer({ ...spec, ...change() }) };
  } catch (error) {
    if (engineStatus(error) !== 409) throw error;
    const found = await standing(tools, request);
    return found ? { found } : { made: await tools.engine.createContainer({ ...spec, ...change() }) };
  }
}

async function start(tools: LaunchTools, container: Docker.Container, request: LaunchRequest): Promise<void> {
  if (request.allow_network) {
    await tools.engine.getNetwork(tools.config.OPEN_NETWORK).connect({ Container: container.id, ...change() });
  }
  await container.start(change());
}

/**
 * Answers with the running container. Rejects with AgentRefusal, or with the reason of `signal`; either way
 * nothing of the launch is left.
 */
export async function launch(
  tools: LaunchTools,
  request: LaunchRequest,
  signal: AbortSignal,
  waiting: Waiting,
): Promise<Launched> {
  const { engine, config, images, networks } = tools;
  if (request.allow_network && !config.ALLOW_NETWORK) {
    throw new AgentRefusal("refused", "trainers get no network of their own: ALLOW_NETWORK of the agent is false");
  }
  const image = images.allowed(request);
  await untilEngineAnswers(engine, signal, waiting);
  await requireRoom(engine, config);
  const { source } = await images.fetch(image.reference, signal, waiting);
  const extraHosts = await networks.ready(request.allow_network);
  signal.throwIfAborted();
  const spec = containerSpec(request, config, { ...image, extraHosts });
  const { made, found } = await create(tools, request, spec).catch((error) => {
    throw error instanceof AgentRefusal || isEngineAway(error) ? error : explained(error);
  });
  if (made === undefined) return found;
  try {
    signal.throwIfAborted();
    await start(tools, made, request);
    signal.throwIfAborted();
    return { id: made.id, marker: request.marker, source };
  } catch (error) {
    await discard(made);
    signal.throwIfAborted();
    throw isEngineAway(error) ? error : explained(error);
  }
}
