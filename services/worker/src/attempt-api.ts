/** What the worker says to the gateway about one attempt; every word carries the fence. */
import type { ApiClient } from "@vision-platform/common/api-client";
import { AppError } from "@vision-platform/common/app-error";
import {
  type AttemptSpec,
  claimAttempt,
  finishAttempt,
  pushEvents,
  renewLease,
} from "@vision-platform/contracts/api/internal";
import type { BodyInput, ResponseOf } from "@vision-platform/contracts/api/operation";

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
  renew(signal?: AbortSignal): Promise<ResponseOf<typeof renewLease>>;
  push(events: EventPush, signal?: AbortSignal): Promise<ResponseOf<typeof pushEvents>>;
  finish(finish: Finish, signal?: AbortSignal): Promise<ResponseOf<typeof finishAttempt>>;
}

/** The attempt is no longer ours (or the job is gone): end the trainer, write nothing more. */
export function isFenced(error: unknown): boolean {
  return error instanceof AppError && (error.status === 409 || error.status === 404);
}

/** The gateway, or what it needs, is away for the moment: asking again can help. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof AppError) || error.status >= 500 || [401, 403, 408, 425, 429].includes(error.status);
}

const CLAIM_TIMEOUT_MS = 5_000;
const RENEW_TIMEOUT_MS = 4_000;
const PUSH_TIMEOUT_MS = 10_000;

/** Takes the lease. Rejects with a fenced error when somebody has it or the attempt is over. */
export function claim(
  client: ApiClient,
  ids: { job_id: number; attempt: number },
  worker: { worker_id: string; host: string },
): Promise<AttemptSpec> {
  return client.call(claimAttempt, { params: ids, body: worker, timeout: CLAIM_TIMEOUT_MS });
}

/** The conversation about one claimed attempt. */
export function createAttemptApi(client: ApiClient, fence: Fence): AttemptApi {
  const { lease_token, ...params } = fence;
  const until = (signal: AbortSignal | undefined) => (signal ? { signal } : {});
  return {
    fence,
    renew: (signal) =>
      client.call(renewLease, { params, body: { lease_token }, timeout: RENEW_TIMEOUT_MS, ...until(signal) }),
    push: (events, signal) =>
      client.call(pushEvents, { params, body: { lease_token, ...events }, timeout: PUSH_TIMEOUT_MS, ...until(signal) }),
    finish: (finish, signal) =>
      client.call(finishAttempt, {
        params,
        body: { lease_token, ...finish },
        timeout: PUSH_TIMEOUT_MS,
        ...until(signal),
      }),
  };
}
