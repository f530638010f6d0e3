/** The workers: how each of them starts its trainers, and what it has room for. */
import { z } from "zod";
import { FrameworkName } from "../trainer-manifest.ts";
import { operation, Timestamp } from "./operation.ts";

/** How a worker starts its trainers: as processes beside it, in containers of a Docker engine, as Kubernetes Jobs. */
export const LAUNCHER_NAMES = ["subprocess", "docker", "kubernetes"] as const;
export const LauncherName = z.enum(LAUNCHER_NAMES);
export type LauncherName = z.infer<typeof LauncherName>;

/** A GPU, or one instance of a divided GPU (MIG), as its worker sees it. Memory in MiB. */
export const Gpu = z
  .object({
    /** NVIDIA's own id: `GPU-…`, or `MIG-…` for an instance. */
    uuid: z.string().min(1).max(100),
    /** Of the whole GPU, as nvidia-smi counts. */
    index: z.int().min(0),
    name: z.string().max(100),
    memory_mb: z.int().min(0),
    /** null where nobody tells, as for most MIG instances. */
    used_mb: z.int().min(0).nullable(),
    /** Of its processors, 0 to 1. */
    utilization: z.number().min(0).max(1).nullable(),
  })
  .meta({ id: "Gpu" });
export type Gpu = z.infer<typeof Gpu>;

export const WorkerView = z
  .object({
    worker_id: z.string(),
    framework: FrameworkName,
    host: z.string(),
    launcher: LauncherName,
    /** Why it is this launcher. */
    launcher_reason: z.string(),
    /** How many attempts it takes at once, and how many run now. */
    slots: z.int(),
    busy: z.int(),
    /** It takes no more work. */
    stopping: z.boolean(),
    /** `job_id`: which job the GPU was given to, by whichever worker; null when it is free. */
    gpus: z.array(Gpu.extend({ job_id: z.int().nullable() })),
    last_seen: Timestamp,
  })
  .meta({ id: "Worker" });
export type WorkerView = z.infer<typeof WorkerView>;

export const listWorkers = operation({
  id: "listWorkers",
  method: "get",
  path: "/api/v1/workers",
  access: "user",
  tag: "workers",
  summary: "The workers heard of within the last seconds: launcher, slots, GPUs",
  status: 200,
  response: z.object({ items: z.array(WorkerView) }),
});
