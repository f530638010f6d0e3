/** What Prometheus sees of a worker, beside the process's own figures. Its framework is on every metric. */
import type { StatsFs } from "node:fs";
import { statfs } from "node:fs/promises";
import { askedOnce } from "@vision-platform/common/asked-once";
import type { Gpu } from "@vision-platform/contracts/api/workers";
import { ATTEMPT_OUTCOMES } from "@vision-platform/contracts/job-state";
import { Counter, Gauge, Histogram, type Registry } from "prom-client";

const MIB = 1_048_576;
/** Ends that the gateway did not hear from this worker: it did not take the answer, or another one has the attempt now. */
const UNTOLD_OUTCOMES = ["refused", "unanswered", "given_up", "released"] as const;

export interface WorkerMetrics {
  attempts: Counter<"outcome">;
  events: Counter<"source">;
  launchSeconds: Histogram;
}

/** What the metrics ask the worker for. */
export interface WorkerFigures {
  slots: number;
  /** Whose disk is looked at. */
  folder: string;
  busy(): number;
  /** As they were seen last. */
  gpus(): readonly Gpu[];
}

export function createWorkerMetrics(registry: Registry, figures: WorkerFigures): WorkerMetrics {
  addSlotGauges(registry, figures);
  addDiskGauges(registry, figures.folder);
  addGpuGauges(registry, figures.gpus);
  const registers = [registry];
  const attempts = new Counter({
    name: "vision_platform_worker_attempts_total",
    help: "Ended attempts",
    labelNames: ["outcome"],
    registers,
  });
  const events = new Counter({
    name: "vision_platform_worker_events_forwarded_total",
    help: "Events brought to the gateway",
    labelNames: ["source"],
    registers,
  });
  // What has not been seen yet must be told as 0: Prometheus takes a series that begins at 1 for no increase.
  for (const outcome of [...ATTEMPT_OUTCOMES, ...UNTOLD_OUTCOMES]) attempts.inc({ outcome }, 0);
  events.inc({ source: "trainer" }, 0);
  return {
    attempts,
    events,
    launchSeconds: new Histogram({
      name: "vision_platform_worker_launch_duration_seconds",
      help: "From the queue's job to the running trainer",
      buckets: [0.005, 0.01, 0.015, 0.025, 0.05, 0.075, 0.15, 0.5, 1, 2, 5, 15, 60],
      registers,
    }),
  };
}

function addSlotGauges(registry: Registry, { slots, busy }: WorkerFigures): void {
  const registers = [registry];
  new Gauge({ name: "vision_platform_worker_slots", help: "Attempts it may run at once", registers }).set(slots);
  new Gauge({
    name: "vision_platform_worker_slots_busy",
    help: "Attempts that run now",
    registers,
    collect() {
      this.set(busy());
    },
  });
}

function addDiskGauges(registry: Registry, folder: string): void {
  const disk = askedOnce(() => statfs(folder));
  const add = (name: string, help: string, read: (found: StatsFs) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const found = await disk();
        if (found === undefined) this.remove();
        else this.set(read(found));
      },
    });
  const free = "Free where attempts keep their files";
  add("vision_platform_worker_disk_free_bytes", free, ({ bavail, bsize }) => bavail * bsize);
  const size = "Size of the disk where attempts keep their files";
  add("vision_platform_worker_disk_size_bytes", size, ({ blocks, bsize }) => blocks * bsize);
}

/** One series for each GPU or MIG instance; nothing where there is none. */
function addGpuGauges(registry: Registry, gpus: () => readonly Gpu[]): void {
  const add = (name: string, help: string, read: (gpu: Gpu) => number | null) =>
    new Gauge({
      name,
      help,
      labelNames: ["gpu", "model"],
      registers: [registry],
      collect() {
        this.reset();
        for (const gpu of gpus()) {
          const value = read(gpu);
          if (value !== null) this.set({ gpu: gpu.uuid, model: gpu.name }, value);
        }
      },
    });
  add("vision_platform_worker_gpu_utilization_ratio", "Use of its processors, 0 to 1", (gpu) => gpu.utilization);
  add("vision_platform_worker_gpu_memory_bytes", "Its memory", (gpu) => gpu.memory_mb * MIB);
  add("vision_platform_worker_gpu_memory_used_bytes", "Its memory in use", (gpu) =>
    gpu.used_mb === null ? null : gpu.used_mb * MIB,
  );
}
