/** What the worker's docker launcher may ask of the docker agent, and what it hears: nothing else crosses the socket. */
import { JobKind } from "@vision-platform/contracts/job-state";
import { FrameworkName } from "@vision-platform/contracts/trainer-manifest";
import { z } from "zod";

/** Bytes of a request's body; CONFIG_JSON and all of a launch's environment are in it. */
export const MAX_BODY_BYTES = 1_048_576;
/** The kernel takes no longer `NAME=value`. */
const MAX_VALUE_CHARACTERS = 131_000;

const EnvironmentName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "expected a name of letters, digits and underscores")
  // NVIDIA's runtime reads these: whoever sets them chooses GPUs and driver files by himself.
  .refine((name) => !name.startsWith("NVIDIA_"), "the agent sets NVIDIA_ variables itself");

const EnvironmentValue = z
  .string()
  .max(MAX_VALUE_CHARACTERS)
  .refine((value) => !value.includes("\0"), "a NUL cannot be in an environment");

/** By index, or by UUID of a whole GPU or a MIG part. */
const Gpu = z.string().regex(/^(\d{1,2}|(GPU|MIG)-[A-Za-z0-9/-]{1,80})$/, "expected an index or a UUID of a GPU");

export const Marker = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/);
export const ContainerId = z.string().regex(/^[0-9a-f]{64}$/, "expected the 64 digits of a container's id");

const MIB = 1_048_576;

/** One training to start. There is no field for mounts, networks, privileges, users or programs: those are the agent's. */
export const LaunchRequest = z.strictObject({
  job_id: z.int().min(1),
  attempt: z.int().min(1).max(10_000),
  framework: FrameworkName,
  kind: JobKind,
  trace_id: z.string().regex(/^[0-9a-zA-Z-]{0,64}$/),
  marker: Marker,
  /** Must be what the agent itself would take for the framework: a worker of another version is told so. */
  image: z.string().min(1).max(300),
  /** The same: it must be what trainer.json says for the kind. */
  command: z.array(z.string().max(1_000)).min(1).max(100),
  env: z.record(EnvironmentName, EnvironmentValue),
  memory_bytes: z
    .int()
    .min(64 * MIB)
    .optional(),
  cpus: z.number().gt(0.01).max(4096).optional(),
  shm_bytes: z.int().min(0).max(1_099_511_627_776),
  gpus: z.array(Gpu).max(64),
  allow_network: z.boolean(),
  nice: z.int().min(0).max(19),
  /** Seconds from the start after which the agent ends the container when nobody else did. */
  max_runtime_s: z.number().gt(0).max(31_536_000),
});
export type LaunchRequest = z.infer<typeof LaunchRequest>;

/** Why the agent does not do it. `engine_away` passes; everything else is for people. */
export const Refusal = z.object({
  code: z.enum([
    "bad_request",
    "refused",
    "not_found",
    "conflict",
    "image_missing",
    "launch_failed",
    "engine_away",
    "internal",
  ]),
  message: z.string(),
});
export type Refusal = z.infer<typeof Refusal>;

/** The lines of a launch's answer: any number of `waiting`, then one of the others. */
export const LaunchLine = z.union([
  z.object({ waiting: z.object({ message: z.string(), pct: z.number().nullable() }) }),
  /** With the marker of the launch that made it: of an attempt that runs already, an earlier one's. */
  z.object({ launched: z.object({ id: ContainerId, marker: z.string(), source: z.string().nullable().optional() }) }),
  z.object({ refused: Refusal }),
]);
export type LaunchLine = z.infer<typeof LaunchLine>;

export const ContainerItem = z.object({
  id: ContainerId,
  job_id: z.int(),
  attempt: z.int(),
  framework: z.string(),
  marker: z.string(),
  /** `made`: created, never started: its launch did not come to its end. */
  state: z.enum(["made", "runs", "ended"]),
});
export type ContainerItem = z.infer<typeof ContainerItem>;

export const ContainerList = z.object({ items: z.array(ContainerItem) });

export const SignalRequest = z.strictObject({ signal: z.enum(["SIGTERM", "SIGKILL"]) });

export const ExitAnswer = z.discriminatedUnion("ended", [
  z.object({ ended: z.literal(false) }),
  z.object({
    ended: z.literal(true),
    code: z.int(),
    out_of_memory: z.boolean(),
    /** It did not end by itself. */
    taken: z.object({ by: z.enum(["host_lost", "deadline"]), message: z.string() }).optional(),
  }),
]);
export type ExitAnswer = z.infer<typeof ExitAnswer>;

export const AgentState = z.object({
  instance: z.string(),
  engine: z.object({ version: z.string(), cgroup: z.string() }),
  images: z.array(
    z.object({
      framework: z.string(),
      reference: z.string(),
      present: z.boolean(),
      /** The hash of the sources that it says it was built from; null when it is not there or does not say. */
      source: z.string().nullable().default(null),
    }),
  ),
  pull: z.enum(["missing", "never", "always"]),
  /** Why trainers could not reach what they need; null when all is well. */
  network_problem: z.string().nullable(),
  disk: z.object({ place: z.string(), free_bytes: z.number() }).nullable(),
  /** What the engine keeps of a container's output: files of `file_bytes`, `kept_bytes` at least in all. */
  log: z.object({ file_bytes: z.number(), kept_bytes: z.number() }),
});
export type AgentState = z.infer<typeof AgentState>;
