/** What the worker says to the gateway about one attempt; every word carries the fence. */
import type { ApiClient } from "@vision-platform/common/api-client";
import { AppError } from "@vision-platform/common/app-error";
import { traceHeaders } from "@vision-platform/common/tracing";
import {
  type AttemptSpec,
  adoptAttempt,
  claimAttempt,
  finishAttempt,
  pushEvents,
  releaseLease,
  renewLease,
} from "@vision-platform/contracts/api/internal";
import type { BodyInput, ResponseOf } from "@vision-platform/contracts/api/operation";
import type { AttemptIds } from "./launchers/launcher.ts";

/** Job, attempt and the token that the claim gave: together the right to speak for the attempt. */
export interface Fence {
  job_id: number;
  attempt: number;
  lease_token: string;
}

export type Finish = Omit<BodyInput<typeof finishAttempt>, "lease_token">;
export type EventPush = Omit<BodyInput<typeof pushEvents>, "lease_token">;

/** Bound to one attempt. Every call rejects with AppError; see `isFenced` and `isPassing`. */
export interface AttemptApi {
  readonly fence: Fence;
  /** The span that what is said from now on belongs to; empty for none. */
  traceparent: string;
  renew(signal?: AbortSignal): Promise<ResponseOf<typeof renewLease>>;
  push(events: EventPush, signal?: AbortSignal): Promise<ResponseOf<typeof pushEvents>>;
  finish(finish: Finish, signal?: AbortSignal): Promise<ResponseOf<typeof finishAttempt>>;
  /** The trainer goes on; whoever finds it may adopt the attempt. */
  release(): Promise<void>;
}

/** The attempt is no longer ours (or the job is gone): end the trainer, write nothing more. */
export function isFenced(error: unknown): boolean {
  return error instanceof AppError && (error.status === 409 || error.status === 404);
}

/** The gateway, or what it needs, is away for the moment: asking again can help. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof AppError) || error.status >= 500 || [401, 403, 408, 425, 429].includes(error.status);
}

/** The job asks for GPUs that this worker has not, or not free: it may be claimed later. */
export function isGpusBusy(error: unknown): boolean {
  return error instanceof AppError && error.code === "gpus_busy";
}

/** The attempt is over, or its job went on with another: a trainer of it has nothing to do any more. */
export function isOver(error: unknown): boolean {
  return error instanceof AppError && error.status === 409 && ["stale", "terminal"].includes(error.code);
}

const CLAIM_TIMEOUT_MS = 5_000;
const RELEASE_TIMEOUT_MS = 1_500;
const RENEW_TIMEOUT_MS = 4_000;
const PUSH_TIMEOUT_MS = 10_000;

/** Takes the lease. Rejects with a fenced error when somebody has it, the attempt is over, or its GPUs are not free. */
export function claim(
  client: ApiClient,
  ids: AttemptIds,
  body: BodyInput<typeof claimAttempt>,
  trace: ReturnType<typeof traceHeaders> = {},
): Promise<AttemptSpec> {
  return client.call(claimAttempt, { params: ids, body, timeout: CLAIM_TIMEOUT_MS, ...trace });
}

/** Takes the lease of an attempt whose trainer was found running. Rejects with a fenced error when it is not to be had. */
export function adopt(
  client: ApiClient,
  { job_id, attempt }: AttemptIds,
  body: BodyInput<typeof adoptAttempt>,
): Promise<AttemptSpec> {
  return client.call(adoptAttempt, { params: { job_id, attempt }, body, timeout: CLAIM_TIMEOUT_MS });
}

/** Of what happens each second there is no span. */
function isMilestone({ type, data }: { type: string; data: Record<string, unknown> }): boolean {
  return type === "metrics" ? data.scope === "epoch" : !["progress", "log", "heartbeat", "sample"].includes(type);
}

/** The conversation about one claimed attempt. */
export function createAttemptApi(client: ApiClient, fence: Fence): AttemptApi {
  const { lease_token, ...params } = fence;
  const until = (signal: AbortSignal | undefined) => (signal ? { signal } : {});
  const api: AttemptApi = {
    fence,
    traceparent: "",
    renew: (signal) =>
      client.call(renewLease, { params, body: { lease_token }, timeout: RENEW_TIMEOUT_MS, ...until(signal) }),
    push: (events, signal) =>
      client.call(pushEvents, {
        params,
        body: { lease_token, ...events },
        timeout: PUSH_TIMEOUT_MS,
        ...until(signal),
        ...(events.events.some(isMilestone) ? traceHeaders(api.traceparent) : {}),
      }),
    finish: (finish, signal) =>
      client.call(finishAttempt, {
        params,
        body: { lease_token, ...finish },
        timeout: PUSH_TIMEOUT_MS,
        ...until(signal),
        ...traceHeaders(api.traceparent),
      }),
    release: () => client.call(releaseLease, { params, body: { lease_token }, timeout: RELEASE_TIMEOUT_MS }),
  };
  return api;
}
