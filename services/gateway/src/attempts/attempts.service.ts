/** What a worker asks last: how the attempt ended, and what becomes of its job. */
import { type Failure, failureOfExitCode } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome, JobState } from "@vision-platform/contracts/job-state";
import type { AttemptRow, JobRow } from "../db/schema.ts";
import { nothingSaid } from "../events/announcements.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { judgeSuccess, readResult } from "./attempt-result.ts";
import { type AttemptKey, type JobAndAttempt, lockAttempt, readAttempt } from "./attempts.repository.ts";
import { type Ending, endAttempt } from "./end-attempt.ts";
import { checkFence } from "./fence.ts";

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
