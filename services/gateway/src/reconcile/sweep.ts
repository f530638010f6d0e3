/** Ends attempts whose worker stopped renewing, and moves their jobs on. */
import { once } from "node:events";
import { AppError, unavailable } from "@vision-platform/common/app-error";
import { type JobAndAttempt, lockAttempt, readAttempt } from "../attempts/attempts.repository.ts";
import { type Ending, endAttempt } from "../attempts/end-attempt.ts";
import { judgeEnding } from "../attempts/judge-ending.ts";
import { expiredLeases, leaseState } from "../attempts/leases.repository.ts";
import type { AttemptRow } from "../db/schema.ts";
import { nothingSaid } from "../events/announcements.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";

const BATCH = 100;
/** What one look gives the storage. Postgres ends the leader's own transaction once it was idle for 15 s. */
const STORAGE_LOOK_MS = 10_000;
/** So long beyond its lease an attempt that says it succeeded waits for a storage that is away; then it is lost. */
const STORAGE_LIMIT_S = 600;

const LOST = { outcome: "lost", exit_code: null } as const;

type Seen = JobAndAttempt & { attempt: AttemptRow };

/**
 * Answers how many attempts it ended: by their trainer's last word where there is one, else as lost. A lease that is
 * renewed meanwhile, or an attempt that ended, is left alone; so is, until the next look, what a storage that is away
 * must confirm.
 */
export async function sweepLostAttempts(gateway: JobsGateway): Promise<number> {
  const expired = await expiredLeases(gateway.db, BATCH);
  if (expired.length === 0) return 0;
  const timeUp = storageTimeUp();
  let swept = 0;
  for (const { job_id, attempt: number, overdue_s } of expired) {
    const { job, attempt } = (await readAttempt(gateway.db, job_id, number)) ?? {};
    if (!job || !attempt) continue;
    const ending = await judgeLost(gateway, { job, attempt }, overdue_s, timeUp);
    if (ending && (await endLost(gateway, { job, attempt }, ending))) swept += 1;
  }
  return swept;
}

/** Rejects when this look has given the storage all its time. */
function storageTimeUp(): Promise<never> {
  const timeUp = once(AbortSignal.timeout(STORAGE_LOOK_MS), "abort").then(() => {
    throw unavailable("the storage did not answer in time");
  });
  timeUp.catch(() => undefined);
  return timeUp;
}

/** Undefined while the storage must be waited for. */
async function judgeLost(
  gateway: JobsGateway,
  { job, attempt }: Seen,
  overdue_s: number,
  timeUp: Promise<never>,
): Promise<Ending | undefined> {
  try {
    return { ...(await Promise.race([judgeEnding(gateway, job, attempt, LOST), timeUp])), swept: true };
  } catch (error) {
    if (!(error instanceof AppError && error.status === 503)) throw error;
    if (overdue_s > STORAGE_LIMIT_S) return { ...LOST, worker_lost: true, swept: true };
    const { job_id, attempt: number } = attempt;
    gateway.logger.warn({ err: error, job_id, attempt: number }, "a lost attempt's success cannot be confirmed yet");
    return undefined;
  }
}

async function endLost(gateway: JobsGateway, seen: Seen, ending: Ending): Promise<boolean> {
  const { job_id, attempt } = seen.attempt;
  const said = nothingSaid();
  const ended = await gateway.db.transaction().execute(async (tx) => {
    const found = await lockAttempt(tx, job_id, attempt);
    if (found?.job.state !== "RUNNING" || found.job.attempt !== attempt) return undefined;
    if (!(await leaseState(tx, { job_id, attempt })).lost) return undefined;
    // Said since it was judged: the next look knows it.
    if (found.attempt?.terminal_event !== null && seen.attempt.terminal_event === null) return undefined;
    return await endAttempt(tx, found.job, ending, said);
  });
  if (!ended) return false;
  const { outcome, failure } = ending;
  gateway.logger.warn(
    { job_id, attempt, trace_id: seen.job.trace_id, outcome, failure, next: ended.state },
    "attempt ended without its worker: its lease ran out",
  );
  gateway.announcer.announce(said);
  return true;
}
