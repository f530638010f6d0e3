/** Ends an attempt and moves its job on, in one transaction. Finish and the sweep of lost leases both come here. */
import { conflict } from "@vision-platform/common/app-error";
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome, JobState } from "@vision-platform/contracts/job-state";
import type { TrainerResult } from "@vision-platform/contracts/storage-manifests";
import type { Db } from "../db/db.ts";
import type { JobRow } from "../db/schema.ts";
import type { Announcements } from "../events/announcements.ts";
import { appendEvent } from "../events/event-log.repository.ts";
import { insertArtifacts } from "../jobs/artifacts.repository.ts";
import { transition } from "../jobs/transition.repository.ts";
import { countInterruptions, recordEnd } from "./attempts.repository.ts";
import { decideFate, failureOf } from "./fate.ts";

export interface Ending {
  outcome: AttemptOutcome;
  exit_code: number | null;
  failure?: Failure | undefined;
  log_bytes?: number | undefined;
  /** RESULT.json of this very attempt, where there is one. */
  result?: TrainerResult | undefined;
  /** No worker saw it end. */
  worker_lost: boolean;
  /** The worker has not said so itself: what its token still says is refused. */
  swept: boolean;
}

/** The job's row must be locked and RUNNING this attempt. Answers the job's state and newest attempt after it. */
export async function endAttempt(
  tx: Db,
  job: JobRow,
  ending: Ending,
  said: Announcements,
): Promise<{ state: JobState; attempt: number }> {
  const { outcome, exit_code, result } = ending;
  const { id: job_id, attempt } = job;
  const failure = failureOf(outcome, ending.failure);
  const log_bytes = ending.log_bytes ?? null;
  await recordEnd(tx, { job_id, attempt }, { outcome, exit_code, failure, log_bytes, revoke: ending.swept });
  const why = { ...(failure && { failure }), ...(ending.worker_lost && { worker_lost: true }) };
  const data = { attempt, status: "ended", outcome, exit_code, ...why };
  said.events.push(await appendEvent(tx, job_id, { attempt, type: "attempt", data }));

  const interruptions = outcome === "succeeded" ? 0 : await countInterruptions(tx, job_id);
  const cancel_requested = job.cancel_requested_at !== null;
  const fate = decideFate({ attempt, interruptions, outcome, failure, cancel_requested });
  const moved = await transition(tx, { job_id, attempt, result, ...fate });
  if (!moved) throw conflict("the job went on without this attempt", "stale");
  if (fate.to === "SUCCEEDED" && result) await insertArtifacts(tx, job_id, attempt, result.artifacts);
  said.events.push(moved.event);
  return { state: moved.job.state, attempt: moved.job.attempt };
}
