/** What a worker asks last: how the attempt ended, and what becomes of its job. */
import type { JobState } from "@vision-platform/contracts/job-state";
import { nothingSaid } from "../events/announcements.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { type AttemptKey, type JobAndAttempt, lockAttempt, readAttempt } from "./attempts.repository.ts";
import { endAttempt } from "./end-attempt.ts";
import { checkFence } from "./fence.ts";
import { judgeEnding, type Told } from "./judge-ending.ts";

export interface Finish extends Told {
  lease_token: string;
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
  const ending = await judgeEnding(gateway, (seen as JobAndAttempt).job, row, finish);

  const said = nothingSaid();
  const answer = await gateway.db.transaction().execute(async (tx) => {
    const found = await lockAttempt(tx, key.job_id, key.attempt);
    const twin = earlierAnswer(found, finish.lease_token);
    if (twin) return twin;
    checkFence(found, key.attempt, { door: "lease", lease_token: finish.lease_token });
    return await endAttempt(tx, (found as JobAndAttempt).job, { ...ending, swept: false }, said);
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
