/** The engine's create request of a launch: the whole enclosure of a trainer, in one place. */
import { availableParallelism } from "node:os";
import type Docker from "dockerode";
import type { AgentConfig } from "./config.ts";
import { LOGGED_LABELS, launchLabels } from "./labels.ts";
import type { LaunchRequest } from "./protocol.ts";

/** The user `trainer` of every trainer's image. */
const USER_ID = 10_001;
/** Of this many files the engine's log consists; the oldest is dropped when they are full. */
export const LOG_FILES = 4;
/** Under want of memory the system ends a trainer before a service. */
const OOM_SCORE = 500;
/** The weight of a container that does not stand back. */
const FULL_CPU_SHARES = 1_024;
const MAX_CPU_SHARES = 262_144;

export interface Surroundings {
  reference: string;
  command: string[];
  /** `name:address` of the relays. */
  extraHosts: string[];
}

/** tmpfs is memory: its pages count for the container's limit, and `size` is only the most they may become. */
function tmpfs(size: number, mode: string): string {
  return `rw,nosuid,nodev,exec,size=${size},mode=${mode},uid=${USER_ID},gid=${USER_ID}`;
}

/**
 * Each step of nice is worth a fifth of the processor time, as the kernel's own table has it. A container has one weight
 * for all its threads together, where processes have one each: so it is that of as many as it has cores.
 */
function cpuShares(nice: number, cores: number): number {
  return Math.min(MAX_CPU_SHARES, Math.max(2, Math.round(FULL_CPU_SHARES * 0.8 ** nice * Math.max(1, cores))));
}

function environment(request: LaunchRequest): string[] {
  // Where NVIDIA's runtime is the engine's default it would else give every GPU to an image that asks for them.
  const gpus = request.gpus.length > 0 ? {} : { NVIDIA_VISIBLE_DEVICES: "void" };
  return Object.entries({ ...request.env, ...gpus }).map(([name, value]) => `${name}=${value}`);
}

function limits(request: LaunchRequest, config: AgentConfig): Docker.HostConfig {
  const { memory_bytes, cpus, gpus } = request;
  return {
    // The same figure twice: no swap.
    ...(memory_bytes === undefined ? {} : { Memory: memory_bytes, MemorySwap: memory_bytes }),
    ...(cpus === undefined ? {} : { NanoCpus: Math.round(cpus * 1e9) }),
    CpuShares: cpuShares(request.nice, cpus ?? availableParallelism()),
    PidsLimit: config.PIDS_LIMIT,
    ShmSize: request.shm_bytes,
    OomScoreAdj: OOM_SCORE,
    ...(gpus.length === 0 ? {} : { DeviceRequests: [{ Driver: "", DeviceIDs: gpus, Capabilities: [["gpu"]] }] }),
  };
}

function fences(config: AgentConfig): Docker.HostConfig {
  return {
    Privileged: false,
    CapDrop: ["ALL"],
    // Without a seccomp entry the engine's default profile holds.
    SecurityOpt: ["no-new-privileges"],
    ReadonlyRootfs: true,
    IpcMode: "private",
    Tmpfs: { "/work": tmpfs(config.WORK_BYTES, "0700"), "/tmp": tmpfs(config.TMP_BYTES, "1777") },
    Binds: [`${config.CACHE_HOST_DIR ?? config.CACHE_VOLUME}:/cache:rw`],
    RestartPolicy: { Name: "no" },
    AutoRemove: false,
  };
}

/** The create request of a launch. Bind mounts: none but the cache; capabilities, devices, namespaces of the host: none. */
export function containerSpec(
  request: LaunchRequest,
  config: AgentConfig,
  { reference, command, extraHosts }: Surroundings,
): Docker.ContainerCreateOptions {
  const name = config.containerName(request);
  return {
    name,
    Hostname: name,
    Image: reference,
    Cmd: command,
    Env: environment(request),
    User: `${USER_ID}:${USER_ID}`,
    WorkingDir: "/work",
    Labels: launchLabels(config.PLATFORM_INSTANCE, request),
    AttachStdin: false,
    OpenStdin: false,
    Tty: false,
    HostConfig: {
      ...limits(request, config),
      ...fences(config),
      NetworkMode: config.JOBS_NETWORK,
      ExtraHosts: extraHosts,
      // The engine's resolver would hand names of the world to the host's, a way out of a network that has none.
      ...(request.allow_network ? {} : { Dns: ["127.0.0.1"] }),
      LogConfig: {
        Type: "json-file",
        Config: {
          "max-size": String(Math.ceil(config.LOG_BYTES / LOG_FILES)),
          "max-file": String(LOG_FILES),
          labels: LOGGED_LABELS.join(","),
        },
      },
    },
  };
}
