/** Who may still write on behalf of an attempt: the newest one, while it runs, with the token of its lease. */
import { conflict, notFound } from "@vision-platform/common/app-error";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { AttemptRow } from "../db/schema.ts";
import type { JobAndAttempt } from "./attempts.repository.ts";

/** `lease`: a worker with its token. `callback`: a trainer whose JWT named the attempt. */
export type Fence = { door: "lease"; lease_token: string } | { door: "callback" };

/**
 * The attempt's row, if the writer is still the one that counts. Throws 404 for an unknown job, 409 `stale` for an older
 * attempt or one that is not running, `terminal` for a job that is over, `lease_lost` for another lease's token.
 */
export function checkFence(found: JobAndAttempt | undefined, attempt: number, fence: Fence): AttemptRow {
  if (!found) throw notFound("Training job not found");
  const { job, attempt: row } = found;
  if (!row || job.attempt !== attempt) throw conflict(`attempt ${attempt} was replaced`, "stale");
  if (isTerminal(job.state)) throw conflict(`the job is over: ${job.state}`, "terminal");
  if (job.state !== "RUNNING" || row.outcome !== null) throw conflict(`attempt ${attempt} is not running`, "stale");
  if (fence.door === "lease" && row.lease_token !== fence.lease_token) {
    throw conflict("somebody else holds the lease", "lease_lost");
  }
  return row;
}
