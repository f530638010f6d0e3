/** What readers see: committed events of a job, numbered 1, 2, 3… without a gap. */
import { z } from "zod";
import { Failure } from "./failure-codes.ts";
import { AttemptOutcome, JobState } from "./job-state.ts";
import { MetricValues } from "./trainer-events.ts";

/** Data of the platform's own event type `state`: the job changed its state. */
export const StateEventData = z
  .object({
    state: JobState,
    previous: JobState.nullable(),
    reason: z.string().optional(),
    failure: Failure.optional(),
    /** Final metrics, with a terminal state only. */
    metrics: MetricValues.optional(),
    /** With the job's first event: the name of the metric that says how good the model is. */
    primary_metric: z.string().optional(),
  })
  .meta({ id: "StateEventData" });
export type StateEventData = z.infer<typeof StateEventData>;

/** Data of the platform's own event type `attempt`: an attempt was claimed, taken over by another worker, or ended. */
export const AttemptEventData = z
  .object({
    attempt: z.int().min(1),
    status: z.enum(["claimed", "adopted", "ended"]),
    worker_id: z.string().optional(),
    outcome: AttemptOutcome.optional(),
    exit_code: z.int().nullable().optional(),
    failure: Failure.optional(),
    /** True when its worker was lost: it ended by its trainer's last word, or is lost itself. */
    worker_lost: z.literal(true).optional(),
  })
  .meta({ id: "AttemptEventData" });
export type AttemptEventData = z.infer<typeof AttemptEventData>;

export const EVENT_SOURCES = ["gateway", "worker", "trainer"] as const;

/**
 * The envelope on every road to a reader (REST, SSE, Socket.IO, `vp:out`). `data` is that of the trainer's event of the
 * same type, or StateEventData / AttemptEventData. Readers ignore and count types they do not know.
 */
export const JobEvent = z
  .object({
    v: z.literal(1),
    job_id: z.int().min(1),
    project_id: z.int().min(1),
    seq: z.int().min(1),
    attempt: z.int().min(0),
    src: z.enum(EVENT_SOURCES),
    type: z.string().min(1).max(60),
    ts: z.iso.datetime(),
    trace_id: z.string().regex(/^[0-9a-f]{32}$/),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({
    id: "JobEvent",
    description: "A durable fact about a job. Apply seq = last + 1, drop smaller, on a gap ask for after=<last>.",
  });
export type JobEvent = z.infer<typeof JobEvent>;
