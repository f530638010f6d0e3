/** What workers and notifiers ask of the gateway. Every write of a worker carries the fence: attempt and lease_token. */
import { z } from "zod";
import { Failure } from "../failure-codes.ts";
import { JobEvent } from "../job-events.ts";
import { AttemptOutcome, JobKind, JobState } from "../job-state.ts";
import { TaskType } from "../storage-manifests.ts";
import { TERMINAL_EVENT_TYPES, TrainerEventHead } from "../trainer-events.ts";
import { FrameworkName } from "../trainer-manifest.ts";
import { JobProgress } from "./jobs.ts";
import { Id, operation, Timestamp } from "./operation.ts";
import { Role } from "./projects.ts";
import { Gpu, LauncherName } from "./workers.ts";

const tag = "internal";
const params = z.object({ job_id: Id, attempt: Id });
const attemptPath = "/internal/v1/jobs/{job_id}/attempts/{attempt}";
const lease_token = z.string().min(16).max(100);

/** Everything a worker needs to make the attempt's environment. */
export const AttemptSpec = z
  .object({
    job_id: z.int(),
    project_id: z.int(),
    attempt: z.int(),
    kind: JobKind,
    framework: FrameworkName,
    model_name: z.string(),
    task_type: TaskType,
    dataset_id: z.int(),
    dataset_version: z.int(),
    epochs: z.int(),
    batch_size: z.int(),
    learning_rate: z.number(),
    seed: z.int(),
    config: z.record(z.string(), z.unknown()),
    /** s3:// folder of checkpoints to resume from; null for a fresh start. */
    resume_uri: z.string().nullable(),
    /** The weights placed in the storage for this model, when `config.pretrained` asks for some; null without. */
    pretrained_uri: z.string().nullable(),
    /** evaluate, predict, export: the pointer to the checkpoint to load; null for other kinds. */
    model_uri: z.string().nullable(),
    /** Processes to start, one for each GPU (NUM_PROCESSES). */
    gpus: z.int().min(1),
    /** The GPUs it was given, by NVIDIA's ids; none where the worker offered none. */
    gpu_ids: z.array(z.string()).default([]),
    trace_id: z.string(),
    traceparent: z.string(),
    /** JWT for the HTTP callbacks, bound to this job and attempt. */
    callback_token: z.string(),
    lease_token,
    /** How far each door has been read; go on after it. */
    last_src_seq: z.int(),
    last_worker_seq: z.int(),
    /** The trainer's last word, where the gateway has it already. */
    terminal: z
      .object({ type: z.enum(TERMINAL_EVENT_TYPES), data: z.record(z.string(), z.unknown()) })
      .nullable()
      .default(null),
    /** Bytes of the trainer's output whose lines the gateway has. */
    last_log_offset: z.int().default(0),
  })
  .meta({ id: "AttemptSpec" });
export type AttemptSpec = z.infer<typeof AttemptSpec>;

const worker = { worker_id: z.string().min(1).max(200), host: z.string().max(200) };

export const claimAttempt = operation({
  id: "claimAttempt",
  method: "post",
  path: `${attemptPath}/claim`,
  access: "internal",
  tag,
  summary:
    "Take the lease of an attempt (15 s, database clock). 409: somebody has it, it is over, or its GPUs are not free (`gpus_busy`: ask again later)",
  params,
  body: z.object({
    ...worker,
    launcher: LauncherName.default("subprocess"),
    /** The worker's GPUs; left out where others look after them (a cluster), empty where there are none. */
    gpus: z
      .array(Gpu.pick({ uuid: true, memory_mb: true }))
      .max(256)
      .optional(),
  }),
  status: 200,
  response: AttemptSpec,
  problems: [404, 409],
});
export const adoptAttempt = operation({
  id: "adoptAttempt",
  method: "post",
  path: `${attemptPath}/adopt`,
  access: "internal",
  tag,
  summary:
    "Take over a running attempt whose trainer outlived its worker: with the old token at once, else when the lease is over. 409 `lease_held`: somebody has it; `stale`, `terminal`: end the trainer",
  params,
  body: z.object({ ...worker, launcher: LauncherName, lease_token: lease_token.optional() }),
  status: 200,
  response: AttemptSpec,
  problems: [404, 409],
});
export const releaseLease = operation({
  id: "releaseLease",
  method: "post",
  path: `${attemptPath}/release`,
  access: "internal",
  tag,
  summary: "Give up the lease of an attempt whose trainer goes on: any worker may adopt it within 30 s",
  params,
  body: z.object({ lease_token }),
  status: 204,
  response: null,
  problems: [404, 409],
});
export const renewLease = operation({
  id: "renewLease",
  method: "post",
  path: `${attemptPath}/renew`,
  access: "internal",
  tag,
  summary: "Keep the lease; the answer carries the cancel flag. 409: lost, end the trainer",
  params,
  body: z.object({ lease_token }),
  status: 200,
  response: z.object({ cancel: z.boolean(), lease_until: Timestamp }),
  problems: [404, 409],
});
export const pushEvents = operation({
  id: "pushEvents",
  method: "post",
  path: `${attemptPath}/events`,
  access: "internal",
  tag,
  summary: "Events of the trainer, or of the worker about the attempt, in order",
  params,
  body: z.object({
    lease_token,
    source: z.enum(["trainer", "worker"]),
    /** A hole in the numbers can never fill again: go over it and say so in a warning. */
    allow_gap: z.boolean().default(false),
    events: z.array(TrainerEventHead).min(1).max(500),
  }),
  status: 200,
  response: z.object({ acked: z.int(), cancel: z.boolean() }),
  problems: [404, 409],
});
export const finishAttempt = operation({
  id: "finishAttempt",
  method: "post",
  path: `${attemptPath}/finish`,
  access: "internal",
  tag,
  summary: "How the attempt ended; the gateway decides what becomes of the job",
  params,
  body: z.object({
    lease_token,
    outcome: AttemptOutcome,
    exit_code: z.int().nullable(),
    failure: Failure.optional(),
    log_bytes: z.int().min(0).optional(),
  }),
  status: 200,
  response: z.object({ state: JobState, attempt: z.int() }),
  problems: [404, 409],
});
export const workerHeartbeat = operation({
  id: "workerHeartbeat",
  method: "post",
  path: "/internal/v1/workers/heartbeat",
  access: "internal",
  tag,
  summary: "A worker is there, with so many slots; every 5 s",
  body: z.object({
    worker_id: z.string().max(200),
    framework: FrameworkName,
    host: z.string().max(200),
    slots: z.int().min(0),
    busy: z.int().min(0),
    stopping: z.boolean(),
    launcher: LauncherName.default("subprocess"),
    launcher_reason: z.string().max(500).default(""),
    gpus: z.array(Gpu).max(256).default([]),
  }),
  status: 204,
  response: null,
});

/** Whom a token stands for; `expires_at` null means until revoked. */
export const verifyToken = operation({
  id: "verifyToken",
  method: "post",
  path: "/internal/v1/tokens/verify",
  access: "internal",
  tag,
  summary: "Who is behind a user's token (access token or API key)",
  body: z.object({ token: z.string().max(4096) }),
  status: 200,
  response: z.object({ user_id: z.int(), is_admin: z.boolean(), expires_at: Timestamp.nullable() }),
});

export const Subscription = z.object({
  user_id: z.int(),
  job_id: z.int().optional(),
  project_id: z.int().optional(),
});
export const JobHead = z.object({
  job_id: z.int(),
  project_id: z.int(),
  state: JobState,
  last_seq: z.int(),
  progress: JobProgress,
  /** Name of the metric shown as `accuracy`; null for a job that has none. */
  primary_metric: z.string().nullable(),
});
export type JobHead = z.infer<typeof JobHead>;
/** Asked on subscribe, and every 5 s for all live subscriptions of a notifier: membership and heads in one answer. */
export const checkSubscriptions = operation({
  id: "checkSubscriptions",
  method: "post",
  path: "/internal/v1/subscriptions/check",
  access: "internal",
  tag,
  summary: "Which subscriptions are still allowed, and how far each job is",
  body: z.object({ subscriptions: z.array(Subscription).max(20_000) }),
  status: 200,
  response: z.object({
    /** In the order asked. `not_found` covers what does not exist; `forbidden` what the user is no member of. */
    results: z.array(z.object({ status: z.enum(["ok", "not_found", "forbidden"]), role: Role.nullable() })),
    /** Of every allowed job, and of the jobs of every allowed project that are not over. */
    heads: z.array(JobHead),
  }),
});
export const replayEvents = operation({
  id: "replayEvents",
  method: "get",
  path: "/internal/v1/jobs/{job_id}/events",
  access: "internal",
  tag,
  summary: "Committed events with seq > after, for a reader whose membership was checked",
  params: z.object({ job_id: Id }),
  query: z.object({
    after: z.coerce.number().int().min(0),
    limit: z.coerce.number().int().min(1).max(1000).default(500),
  }),
  status: 200,
  response: z.object({ items: z.array(JobEvent), head: z.int() }),
  problems: [404],
});
