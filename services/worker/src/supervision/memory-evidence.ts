/** Tells a death for lack of memory from any other: what the system counted, and what the trainer's log says. */
import { readFileSync } from "node:fs";

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** cgroup v2, cgroup v1, and the machine's own counter, in the order of how near they are to us. */
function counterFiles(): string[] {
  const own = /^0::(\/.*)$/m.exec(read("/proc/self/cgroup"))?.[1] ?? "/";
  return [
    `/sys/fs/cgroup${own === "/" ? "" : own}/memory.events`,
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
    "/proc/vmstat",
  ];
}

/** How many processes the kernel has killed for memory, as far as we can see; 0 where nothing counts them. */
export function countMemoryKills(): number {
  for (const file of counterFiles()) {
    const count = /^oom_kill (\d+)$/m.exec(read(file))?.[1];
    if (count !== undefined) return Number(count);
  }
  return 0;
}

const OUT_OF_MEMORY =
  /\bMemoryError\b|std::bad_alloc|Cannot allocate memory|DefaultCPUAllocator: (not enough|can't allocate) memory/;

/**
 * True when the kernel killed for memory since `before` was counted, or when the trainer had a limit of its own
 * (an allocation fails then, instead of a kill) and its log ends with that complaint.
 */
export function ranOutOfMemory(before: number, limited: boolean, logTail: string): boolean {
  return countMemoryKills() > before || (limited && OUT_OF_MEMORY.test(logTail));
}
