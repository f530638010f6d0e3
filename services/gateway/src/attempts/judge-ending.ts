/** How an attempt ended: what is told of it, its trainer's last word and the storage together. */
import { type Failure, failureOfExitCode } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome } from "@vision-platform/contracts/job-state";
import { type Decision, decideByLastWord } from "@vision-platform/contracts/last-word";
import type { AttemptRow, JobRow } from "../db/schema.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { judgeSuccess, readResult } from "./attempt-result.ts";
import type { Ending } from "./end-attempt.ts";

/** By the worker, or by the sweep that misses it. */
export interface Told {
  outcome: AttemptOutcome;
  exit_code: number | null;
  failure?: Failure | undefined;
  log_bytes?: number | undefined;
}

type Judged = Omit<Ending, "swept">;

/**
 * Checks what is told against what the gateway knows itself. Outside of any transaction: no lock waits for S3. Rejects
 * with 503 while the storage that must confirm it does not answer.
 */
export async function judgeEnding(
  gateway: Pick<JobsGateway, "s3" | "config">,
  job: JobRow,
  row: AttemptRow,
  { outcome, exit_code, failure, log_bytes }: Told,
): Promise<Judged> {
  const worker_lost = outcome === "lost";
  const decided = (worker_lost ? lastWord(job, row) : undefined) ?? { outcome, failure };
  const ending: Judged = { ...decided, exit_code, log_bytes, worker_lost };
  const storage = { s3: gateway.s3, bucket: gateway.config.STORAGE_BUCKET };
  if (ending.outcome === "succeeded") {
    const verdict = await judgeSuccess(storage, job, row);
    return "result" in verdict
      ? { ...ending, result: verdict.result }
      : { ...ending, outcome: "failed", failure: verdict.failure };
  }
  if (ending.outcome !== "failed") return ending;
  const plain = plainest(ending.failure, saidByTrainer(row)) ?? toldByExitCode(exit_code);
  return { ...ending, failure: plain, result: job.kind === "ingest" ? await readResult(storage, job) : undefined };
}

/**
 * A trainer that had said how it ended is believed, though its worker is lost: another attempt would only say the same.
 * One that stopped in order to go on later is no further than any lost one, and the loss is the better reason.
 */
function lastWord(job: JobRow, { terminal_event }: AttemptRow): Decision | undefined {
  if (terminal_event === null) return undefined;
  const decided = decideByLastWord(terminal_event, job.cancel_requested_at === null ? null : "cancelled");
  return decided.outcome === "preempted" ? undefined : decided;
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
