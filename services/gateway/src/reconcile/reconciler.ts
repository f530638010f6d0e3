/** Makes true again what was forgotten: queues that lost a job, attempts that lost their worker. */
import { extendAllLeases } from "../attempts/leases.repository.ts";
import { forgetOldWorkers } from "../attempts/workers.repository.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { asLeader, waitingJobs } from "./reconcile.repository.ts";
import { sweepLostAttempts } from "./sweep.ts";

const EVERY_MS = 1_000;
/** After so long without a look of ours, workers had nobody to renew with: the fault is not theirs. */
const OUTAGE_MS = 5_000;
const MAX_WAITING = 10_000;
const FORGET_EVERY_MS = 3_600_000;

export interface Reconciler {
  /** One look at everything, as the timer does it each second. Never rejects. */
  tick(): Promise<void>;
  /** When the last look succeeded, in ms since 1970; 0 for never. */
  lastSuccess(): number;
  /** Attempts put back into their queues so far. */
  restored(): number;
  stop(): Promise<void>;
}

/** Runs in every gateway; one at a time does the work. */
export function startReconciler(gateway: JobsGateway): Reconciler {
  let last = 0;
  let forgotten = 0;
  let restored = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();

  async function work(): Promise<void> {
    // A fresh start counts as an outage: nobody knows how long nobody was there.
    if (Date.now() - last > OUTAGE_MS) await extendAllLeases(gateway.db);
    else await sweepLostAttempts(gateway);
    restored += await refillQueues(gateway);
    if (Date.now() - forgotten > FORGET_EVERY_MS) {
      await forgetOldWorkers(gateway.db);
      forgotten = Date.now();
    }
  }

  async function tick(): Promise<void> {
    try {
      await asLeader(gateway.db, work);
      last = Date.now();
    } catch (error) {
      gateway.logger.warn({ err: error }, "reconciler could not look, trying again");
    }
  }

  function schedule(): void {
    if (stopped) return;
    timer = setTimeout(() => {
      running = tick().then(schedule);
    }, EVERY_MS);
  }

  running = tick().then(schedule);
  return {
    tick,
    lastSuccess: () => last,
    restored: () => restored,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Answers how many were put back. Redis being away is no reason to fail the look: the rows wait, and the leases are looked after. */
async function refillQueues(gateway: JobsGateway): Promise<number> {
  const waiting = await waitingJobs(gateway.db, MAX_WAITING);
  if (waiting.length === 0) return 0;
  try {
    const restored = await gateway.dispatcher.restore(waiting);
    if (restored > 0) gateway.logger.info({ jobs: restored }, "jobs put back into their queues");
    return restored;
  } catch (error) {
    gateway.logger.warn({ err: error, jobs: waiting.length }, "queues cannot be refilled yet");
    return 0;
  }
}
