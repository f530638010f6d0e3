/** How many processor cores one trainer may count on. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

function numbers(file: string): number[] {
  try {
    return readFileSync(file, "utf8").trim().split(/\s+/).map(Number);
  } catch {
    return [];
  }
}

/** Cores that the container's quota allows (cgroup v2, then v1); the machine's own number without a quota. */
export function cpuQuota(root = "/sys/fs/cgroup"): number {
  const all = availableParallelism();
  const [quota = Number.NaN, period = Number.NaN] = numbers(`${root}/cpu.max`);
  const [quotaV1 = Number.NaN] = numbers(`${root}/cpu/cpu.cfs_quota_us`);
  const [periodV1 = Number.NaN] = numbers(`${root}/cpu/cpu.cfs_period_us`);
  for (const cores of [quota / period, quotaV1 / periodV1]) {
    if (cores > 0) return Math.min(all, Math.max(1, Math.floor(cores)));
  }
  return all;
}

/** Threads for one of `slots` trainers that may run at once; at least 1. */
export function threadsPerTrainer(slots: number, cores: number = cpuQuota()): number {
  return Math.max(1, Math.floor(cores / slots));
}
