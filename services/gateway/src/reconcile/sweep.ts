/** Ends attempts whose worker stopped renewing, and moves their jobs on. */
import { lockAttempt } from "../attempts/attempts.repository.ts";
import { endAttempt } from "../attempts/end-attempt.ts";
import { expiredLeases, leaseState } from "../attempts/leases.repository.ts";
import { nothingSaid } from "../events/announcements.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";

const BATCH = 100;

/** Answers how many attempts were lost. A lease that is renewed meanwhile, or an attempt that ended, is left alone. */
export async function sweepLostAttempts(gateway: JobsGateway): Promise<number> {
  let swept = 0;
  for (const { job_id, attempt } of await expiredLeases(gateway.db, BATCH)) {
    if (await endLost(gateway, job_id, attempt)) swept += 1;
  }
  return swept;
}

async function endLost(gateway: JobsGateway, job_id: number, attempt: number): Promise<boolean> {
  const said = nothingSaid();
  const ended = await gateway.db.transaction().execute(async (tx) => {
    const found = await lockAttempt(tx, job_id, attempt);
    if (found?.job.state !== "RUNNING" || found.job.attempt !== attempt) return undefined;
    if (!(await leaseState(tx, { job_id, attempt })).lost) return undefined;
    return await endAttempt(tx, found.job, { outcome: "lost", exit_code: null, swept: true }, said);
  });
  if (!ended) return false;
  gateway.logger.warn(
    { job_id, attempt, trace_id: said.events[0]?.trace_id, next: ended.state },
    "attempt lost: its lease ran out",
  );
  gateway.announcer.announce(said);
  return true;
}
