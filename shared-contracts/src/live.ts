/** Socket.IO between the notifier and its clients: event names and payloads. */
import { z } from "zod";
import { JobProgress } from "./api/jobs.ts";
import type { JobEvent } from "./job-events.ts";
import { JobState } from "./job-state.ts";
import { MetricValues } from "./trainer-events.ts";

/** What a client may subscribe to: 'job:6', 'project:1', or a job from a cursor on. */
export const SubscribeRequest = z.union([
  z.string().regex(/^(job|project):[1-9][0-9]{0,9}$/, "'job:<id>' or 'project:<id>'"),
  z.object({ job_id: z.int().min(1), after: z.int().min(0).default(0) }),
]);
export type SubscribeRequest = z.infer<typeof SubscribeRequest>;

export const SubscribeAnswer = z.union([
  z.object({ ok: z.literal(true), head: z.int(), state: JobState.optional() }),
  z.object({
    ok: z.literal(false),
    code: z.enum(["bad_request", "not_found", "forbidden", "limit", "unavailable"]),
    error: z.string(),
  }),
]);
export type SubscribeAnswer = z.infer<typeof SubscribeAnswer>;

export const TrainingProgress = JobProgress.pick({
  epoch: true,
  epochs: true,
  loss: true,
  accuracy: true,
  pct: true,
  eta_s: true,
}).extend({ job_id: z.int() });
export type TrainingProgress = z.infer<typeof TrainingProgress>;

export const TrainingComplete = z.object({ job_id: z.int(), status: JobState, metrics: MetricValues });
export type TrainingComplete = z.infer<typeof TrainingComplete>;

/** Every 5 s for each subscribed job: a client that is behind asks for what it lacks. */
export const Head = z.object({ job_id: z.int(), last_seq: z.int(), state: JobState });
export type Head = z.infer<typeof Head>;

/** A subscription that the server ended: lost membership, an expired token, or a reader too slow. */
export const SubscriptionEnded = z.object({
  job_id: z.int().optional(),
  project_id: z.int().optional(),
  reason: z.enum(["forbidden", "token_expired", "too_slow"]),
});
export type SubscriptionEnded = z.infer<typeof SubscriptionEnded>;

export interface ServerToClient {
  job_event: (event: JobEvent) => void;
  training_progress: (progress: TrainingProgress) => void;
  training_complete: (complete: TrainingComplete) => void;
  head: (head: Head) => void;
  subscription_ended: (ended: SubscriptionEnded) => void;
}
export interface ClientToServer {
  subscribe: (request: SubscribeRequest, acknowledge: (answer: SubscribeAnswer) => void) => void;
  unsubscribe: (request: string, acknowledge: (answer: { ok: boolean }) => void) => void;
}
