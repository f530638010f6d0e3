/** Which of a worker's GPUs an attempt gets. Pure. */
import type { Gpu } from "@vision-platform/contracts/api/workers";

export type OfferedGpu = Pick<Gpu, "uuid" | "memory_mb">;

export interface GpuDemand {
  gpus: number;
  /** GiB each; null when any will do. */
  min_vram_gb: number | null;
}

/** nvidia-smi tells what is left beside the driver's own share: a "24 GB" card has about 23.6 GiB or a little less. */
const TOLERANCE = 0.94;

function sized({ gpus, min_vram_gb }: GpuDemand): string {
  const count = gpus === 1 ? "a GPU" : `${gpus} GPUs`;
  return min_vram_gb === null ? count : `${count} with ${min_vram_gb} GB`;
}

/**
 * The smallest GPUs that are large enough, so that large ones stay for those who need them. `busy` holds the ids of those
 * that other jobs have. A worker without any GPU takes jobs that do not insist on one (no `min_vram_gb`) on its processor.
 */
export function chooseGpus(
  demand: GpuDemand,
  offered: readonly OfferedGpu[],
  busy: ReadonlySet<string>,
): { gpu_ids: string[] } | { wants: string; has: string } {
  if (offered.length === 0 && demand.min_vram_gb === null) return { gpu_ids: [] };
  const fits = ({ memory_mb }: OfferedGpu) => memory_mb >= (demand.min_vram_gb ?? 0) * 1024 * TOLERANCE;
  const large = offered.filter(fits).sort((one, other) => one.memory_mb - other.memory_mb);
  const free = large.filter(({ uuid }) => !busy.has(uuid));
  if (free.length >= demand.gpus) return { gpu_ids: free.slice(0, demand.gpus).map(({ uuid }) => uuid) };
  return { wants: sized(demand), has: large.length < demand.gpus ? `${large.length} in all` : `${free.length} free` };
}
