/** The GPUs that a worker may give to its jobs. */
import type { Logger } from "@vision-platform/common/logger";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import type { Gpu } from "@vision-platform/contracts/api/workers";
import { readGpus } from "./inventory.ts";

const LOOK_EVERY_MS = 5_000;

export interface Gpus {
  /** As they were seen last, within the last seconds. */
  known(): readonly Gpu[];
  /** What a claim offers; undefined where others look after the GPUs. The gateway chooses: it knows who has which. */
  offer(): Pick<Gpu, "uuid" | "memory_mb">[] | undefined;
  /** What the launcher is told to give to the attempt's trainer. */
  idsFor(spec: Pick<AttemptSpec, "gpus" | "gpu_ids">): string[];
  stop(): void;
}

export interface GpuSettings {
  /** `auto`: all there are. `none`. Or a list of indexes and ids, such as `0,2` or `GPU-…,MIG-…`. */
  GPUS: string;
  /** What a worker without the setting GPUS goes by, as CUDA itself does. */
  CUDA_VISIBLE_DEVICES?: string | undefined;
}

/** The GPUs that the settings name; an index stands for all instances of a divided GPU. */
export function selectGpus(all: readonly Gpu[], { GPUS, CUDA_VISIBLE_DEVICES }: GpuSettings): Gpu[] {
  const wanted = GPUS === "auto" ? (CUDA_VISIBLE_DEVICES ?? "auto") : GPUS;
  if (wanted === "auto") return [...all];
  const names = wanted.split(",").map((name) => name.trim());
  return all.filter(({ index, uuid }) => names.some((name) => name === String(index) || name === uuid));
}

/** In a cluster the scheduler gives GPUs: a job asks for a number of them and gets whichever. */
export function clusterGpus(): Gpus {
  return {
    known: () => [],
    offer: () => undefined,
    idsFor: ({ gpus }) => Array.from({ length: gpus }, (_, index) => String(index)),
    stop: () => undefined,
  };
}

/** For frameworks that make no use of GPUs. */
export function noGpus(): Gpus {
  return { known: () => [], offer: () => undefined, idsFor: () => [], stop: () => undefined };
}

/** The setting says that there are none: jobs that insist on one go elsewhere. */
function hiddenGpus(): Gpus {
  return { ...noGpus(), offer: () => [] };
}

/** Resolves after a first look; then looks every five seconds. A look that fails leaves what was seen before. */
export async function watchGpus(settings: GpuSettings, logger: Logger): Promise<Gpus> {
  if (settings.GPUS === "none") return hiddenGpus();
  let seen: Gpu[] = [];
  let problem = "";
  let looking = false;

  async function look(): Promise<void> {
    if (looking) return;
    looking = true;
    try {
      seen = selectGpus(await readGpus(), settings);
      problem = "";
    } catch (error) {
      if (String(error) !== problem) logger.warn({ err: error }, "nvidia-smi does not tell which GPUs there are");
      problem = String(error);
    } finally {
      looking = false;
    }
  }

  await look();
  const timer = seen.length > 0 || problem !== "" ? setInterval(() => void look(), LOOK_EVERY_MS) : undefined;
  if (seen.length > 0) logger.info({ gpus: seen.map(({ uuid, name }) => ({ uuid, name })) }, "GPUs for jobs");
  return {
    known: () => seen,
    offer: () => seen.map(({ uuid, memory_mb }) => ({ uuid, memory_mb })),
    idsFor: ({ gpu_ids }) => gpu_ids,
    stop: () => clearInterval(timer),
  };
}
