/** What workers ask: claim, renew, finish. */
import { randomBytes } from "node:crypto";
import { conflict, notFound } from "@vision-platform/common/app-error";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { type Failure, failureOfExitCode } from "@vision-platform/contracts/failure-codes";
import { type AttemptOutcome, isTerminal, type JobState } from "@vision-platform/contracts/job-state";
import { checkpointPointerKey, s3Uri } from "@vision-platform/contracts/names";
import type { AttemptRow, JobRow } from "../db/schema.ts";
import { nothingSaid } from "../events/announcements.ts";
import { appendEvent } from "../events/event-log.repository.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { transition } from "../jobs/transition.repository.ts";
import { judgeSuccess, readResult } from "./attempt-result.ts";
import { type JobAndAttempt, lockAttempt, readAttempt, renewLease, takeLease } from "./attempts.repository.ts";
import { type Ending, endAttempt } from "./end-attempt.ts";
import { checkFence } from "./fence.ts";
import { findWeights } from "./weights.ts";

/** Longer than any training; the fence ends its use together with the attempt. */
const CALLBACK_TTL_S = 60 * 24 * 3600;

export interface AttemptKey {
  job_id: number;
  attempt: number;
}

/** Gives the attempt to this worker. Throws 404, or 409 `already_claimed`, `stale`, `terminal` or `cancelled`. */
export async function claimAttempt(
  gateway: JobsGateway,
  key: AttemptKey,
  worker: { worker_id: string; host: string },
): Promise<AttemptSpec> {
  const said = nothingSaid();
  const spec = await gateway.db.transaction().execute(async (tx) => {
    const begun = await transition(tx, { ...key, to: "RUNNING" });
    if (!begun) throw whyNotClaimed(await readAttempt(tx, key.job_id, key.attempt), key.attempt);
    const lease_token = randomBytes(24).toString("base64url");
    const row = await takeLease(tx, key, { ...worker, lease_token });
    const data = { attempt: key.attempt, status: "claimed", worker_id: worker.worker_id };
    said.events = [begun.event, await appendEvent(tx, key.job_id, { attempt: key.attempt, type: "attempt", data })];
    return specOf(gateway, begun.job, row, lease_token);
  });
  gateway.announcer.announce(said);
  const { job_id, attempt, trace_id } = spec;
  gateway.logger.info({ job_id, attempt, trace_id, worker_id: worker.worker_id }, "attempt claimed");
  return { ...spec, pretrained_uri: await findWeights(gateway, spec) };
}

function whyNotClaimed(found: JobAndAttempt | undefined, attempt: number): Error {
  if (!found) return notFound("Training job not found");
  const { state, attempt: newest } = found.job;
  if (state === "CANCELLED") return conflict("the job was cancelled", "cancelled");
  if (isTerminal(state)) return conflict(`the job is over: ${state}`, "terminal");
  if (newest !== attempt || state !== "RUNNING")
    return conflict(`attempt ${attempt} does not wait for a worker`, "stale");
  return conflict("the attempt has a worker", "already_claimed");
}

function specOf(gateway: JobsGateway, job: JobRow, row: AttemptRow, lease_token: string): AttemptSpec {
  const { id: job_id, project_id, attempt, kind, framework, model_name, task_type, dataset_id, dataset_version } = job;
  const { epochs, batch_size, learning_rate, seed, gpus, config, trace_id, traceparent } = job;
  return {
    ...{ job_id, project_id, attempt, kind, framework, model_name, task_type, dataset_id, dataset_version },
    ...{ epochs, batch_size, learning_rate, seed, gpus, config, trace_id, traceparent, lease_token },
    resume_uri: row.resume_uri,
    pretrained_uri: null,
    model_uri: modelUri(gateway, job),
    callback_token: gateway.tokens.mintCallbackToken({ job_id, attempt, ttl_s: CALLBACK_TTL_S }),
    last_src_seq: row.last_src_seq,
    last_worker_seq: row.last_worker_seq,
  };
}

/** Where a derived job finds its model: the pointer, so that it gets the newest checkpoint of that kind. */
function modelUri(gateway: JobsGateway, { source_job_id, checkpoint }: JobRow): string | null {
  if (source_job_id === null || checkpoint === null) return null;
  return s3Uri(gateway.config.STORAGE_BUCKET, checkpointPointerKey(source_job_id, checkpoint));
}

/** Throws 404, or 409 `lease_lost` when the attempt is over, was swept, or is somebody else's. */
export async function renewAttempt(
  gateway: JobsGateway,
  key: AttemptKey,
  lease_token: string,
): Promise<{ cancel: boolean; lease_until: string }> {
  const renewed = await renewLease(gateway.db, { ...key, lease_token });
  if (renewed) {
    return { cancel: renewed.cancel_requested_at !== null, lease_until: renewed.lease_until.toISOString() };
  }
  const found = await readAttempt(gateway.db, key.job_id, key.attempt);
  throw found ? conflict("the lease is lost", "lease_lost") : notFound("Training job not found");
}

export interface Finish {
  lease_token: string;
  outcome: AttemptOutcome;
  exit_code: number | null;
  failure?: Failure | undefined;
  log_bytes?: number | undefined;
}

/**
 * Ends the attempt as its worker saw it and decides what becomes of the job. The same finish again gets the same answer.
 * Throws what checkFence throws, and 503 while the storage that must confirm a success does not answer.
 */
export async function finishAttempt(
  gateway: JobsGateway,
  key: AttemptKey,
  finish: Finish,
): Promise<{ state: JobState; attempt: number }> {
  const seen = await readAttempt(gateway.db, key.job_id, key.attempt);
  const earlier = earlierAnswer(seen, finish.lease_token);
  if (earlier) return earlier;
  const row = checkFence(seen, key.attempt, { door: "lease", lease_token: finish.lease_token });
  const ending = await judge(gateway, (seen as JobAndAttempt).job, row, finish);

  const said = nothingSaid();
  const answer = await gateway.db.transaction().execute(async (tx) => {
    const found = await lockAttempt(tx, key.job_id, key.attempt);
    const twin = earlierAnswer(found, finish.lease_token);
    if (twin) return twin;
    checkFence(found, key.attempt, { door: "lease", lease_token: finish.lease_token });
    return await endAttempt(tx, (found as JobAndAttempt).job, ending, said);
  });
  gateway.announcer.announce(said);
  const { outcome, failure } = ending;
  gateway.logger.info({ ...key, trace_id: seen?.job.trace_id, outcome, failure, next: answer.state }, "attempt ended");
  return answer;
}

/** What this lease's finish was answered before: where the attempt had led the job. */
function earlierAnswer(
  found: JobAndAttempt | undefined,
  lease_token: string,
): { state: JobState; attempt: number } | undefined {
  const row = found?.attempt;
  if (!found || !row || row.outcome === null || row.lease_token !== lease_token) return undefined;
  if (found.job.attempt > row.attempt) return { state: "QUEUED", attempt: row.attempt + 1 };
  return { state: found.job.state, attempt: row.attempt };
}

/** The worker's view, checked against the storage. Outside the transaction: no lock waits for S3. */
async function judge(gateway: JobsGateway, job: JobRow, row: AttemptRow, finish: Finish): Promise<Ending> {
  const { exit_code, log_bytes } = finish;
  const ending: Ending = { outcome: finish.outcome, exit_code, log_bytes, failure: finish.failure, swept: false };
  const storage = { s3: gateway.s3, bucket: gateway.config.STORAGE_BUCKET };
  if (finish.outcome === "succeeded") {
    const verdict = await judgeSuccess(storage, job, row);
    return "result" in verdict
      ? { ...ending, result: verdict.result }
      : { ...ending, outcome: "failed", failure: verdict.failure };
  }
  if (finish.outcome !== "failed") return ending;
  const failure = plainest(finish.failure, saidByTrainer(row)) ?? toldByExitCode(exit_code);
  return { ...ending, failure, result: job.kind === "ingest" ? await readResult(storage, job) : undefined };
}

/** The trainer's own words where they are about the same failure: a worker may have seen the exit code alone. */
function plainest(worker: Failure | undefined, trainer: Failure | undefined): Failure | undefined {
  const agreed = worker === undefined || worker.code === "CRASHED" || worker.code === trainer?.code;
  return agreed ? (trainer ?? worker) : worker;
}

/** The `failed` event's own words. */
function saidByTrainer(row: AttemptRow): Failure | undefined {
  if (row.terminal_event?.type !== "failed") return undefined;
  const { code, message } = row.terminal_event.data as unknown as Failure;
  return { code, message };
}

function toldByExitCode(exit_code: number | null): Failure | undefined {
  const code = exit_code === null ? undefined : failureOfExitCode(exit_code);
  return code && { code, message: `The trainer ended with exit code ${exit_code}.` };
}
