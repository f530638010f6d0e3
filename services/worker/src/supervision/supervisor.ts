/** Attempts from claim to finish. */
import { performance } from "node:perf_hooks";
import { inSpan, traceHeaders } from "@vision-platform/common/tracing";
import { adopt, claim } from "../attempt-api.ts";
import { drainPlan } from "../drain.ts";
import type { AttemptIds, TrainerIdentity } from "../launchers/launcher.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { type Attempt, openAttempt } from "./attempt.ts";
import { runAdopted, runClaimed } from "./attempt-course.ts";
import { attemptName } from "./attempt-directory.ts";
import type { Taken } from "./attempt-span.ts";

export interface Supervisor {
  /** Attempts that run now. */
  readonly busy: number;
  /** Of them, those that were taken over from another worker. */
  readonly adopted: number;
  has(ids: AttemptIds): boolean;
  /**
   * Claims, runs and finishes one attempt. Resolves when all is done; rejects only when the claim does: with a fenced
   * error when the attempt is not to be had, with another when the gateway is away.
   */
  run(ids: AttemptIds, taken: Taken): Promise<void>;
  /**
   * Takes over an attempt whose trainer outlived its worker. Resolves once it is supervised; rejects when the adoption
   * does, as `run` does. `lease_token`: of the worker that died on this host.
   */
  adopt(ids: AttemptIds, trainer: TrainerIdentity, lease_token?: string): Promise<void>;
  /** Something waits at the gateway for this job: ask now instead of with the next renewal. */
  hint(jobId: number): void;
  /**
   * The worker is stopped. Trainers that outlive it go on, and their attempts are released; the others save and end, and
   * their attempts are given back. Resolves when every attempt is through.
   */
  stop(): Promise<void>;
}

/** Supervises any number of attempts at once; the queue decides how many. */
export function createSupervisor(parts: WorkerParts): Supervisor {
  const open = new Map<string, { attempt: Attempt; adopted: boolean; through: Promise<void> }>();
  const self = { worker_id: parts.workerId, host: parts.host, launcher: parts.launcher.name };
  let stopping = false;

  function end(attempt: Attempt): void {
    if (parts.launcher.outlivesWorker && parts.config.KEEP_TRAINERS) attempt.control.leave();
    else attempt.control.request("preempted", drainPlan(parts.config).graceMs);
  }

  function supervise(attempt: Attempt, adopted: boolean, work: Promise<void>): Promise<void> {
    const name = attemptName(attempt.spec);
    const through = work.finally(() => {
      attempt.lease.stop();
      open.delete(name);
    });
    open.set(name, { attempt, adopted, through });
    if (stopping) end(attempt);
    return through;
  }

  return {
    get busy() {
      return open.size;
    },
    get adopted() {
      return [...open.values()].filter(({ adopted }) => adopted).length;
    },
    has: (ids) => open.has(attemptName(ids)),
    async run(ids, taken) {
      const began = performance.now();
      const offered = parts.gpus.offer();
      const body = { ...self, ...(offered === undefined ? {} : { gpus: offered }) };
      const spec = await inSpan("claim", { parent: taken.traceparent, kind: "client" }, ({ traceparent }) =>
        claim(parts.client, ids, body, traceHeaders(traceparent)),
      );
      const attempt = openAttempt(parts, spec, taken);
      await supervise(attempt, false, runClaimed(parts, attempt, began));
    },
    async adopt(ids, trainer, lease_token) {
      const spec = await adopt(parts.client, ids, { ...self, ...(lease_token === undefined ? {} : { lease_token }) });
      const attempt = openAttempt(parts, spec, {}, trainer);
      supervise(attempt, true, runAdopted(parts, attempt)).catch((error: unknown) =>
        attempt.logger.error({ err: error }, "the adopted attempt was not brought to its end"),
      );
    },
    hint(jobId) {
      for (const { attempt } of open.values()) if (attempt.spec.job_id === jobId) attempt.lease.renewNow();
    },
    async stop() {
      stopping = true;
      for (const { attempt } of open.values()) end(attempt);
      await Promise.allSettled([...open.values()].map(({ through }) => through));
    },
  };
}
