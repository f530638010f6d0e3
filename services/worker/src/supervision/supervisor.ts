/** Attempts from claim to finish. */
import { performance } from "node:perf_hooks";
import { claim } from "../attempt-api.ts";
import { type Exit, LaunchError } from "../launchers/launcher.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { type Attempt, launch, openAttempt } from "./attempt.ts";
import { cleanUp, endAttempt, FINISH_LIMIT_MS } from "./ending.ts";
import { countMemoryKills } from "./memory-evidence.ts";
import type { Decision } from "./outcome.ts";
import { judge, listen, settle } from "./watching.ts";

const NO_EXIT: Exit = { code: null, signal: null };

export interface Supervisor {
  /** Attempts that run now. */
  readonly busy: number;
  /**
   * Claims, runs and finishes one attempt. Resolves when all is done; rejects only when the claim does: with a fenced
   * error when the attempt is not to be had, with another when the gateway is away.
   */
  run(ids: { job_id: number; attempt: number }): Promise<void>;
  /** Something waits at the gateway for this job: ask now instead of with the next renewal. */
  hint(jobId: number): void;
  /** The worker is stopped: every trainer saves and ends, and its attempt is given back. */
  preemptAll(): void;
}

/** To a tenth. */
function millisecondsSince(moment: number): number {
  return Math.round((performance.now() - moment) * 10) / 10;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 3_900);
}

function launchFailure(error: unknown): Decision {
  const code = error instanceof LaunchError ? error.code : "LAUNCH_FAILED";
  return { outcome: "failed", failure: { code, message: messageOf(error) } };
}

function lostByWorker(error: unknown): Decision {
  return { outcome: "lost", failure: { code: "WORKER_LOST", message: `The worker failed: ${messageOf(error)}` } };
}

async function close(parts: WorkerParts, attempt: Attempt, exit: Exit, decision: Decision): Promise<void> {
  const { api, directory, record, redact, control, logger } = attempt;
  if (control.lost.aborted) {
    await cleanUp(parts, record, directory);
    parts.metrics.attempts.inc({ outcome: "given_up" });
    return;
  }
  const signal = AbortSignal.any([control.lost, parts.outOfTime, AbortSignal.timeout(FINISH_LIMIT_MS)]);
  await endAttempt(parts, { api, directory, record, exit, decision, redact, signal, logger });
}

/** Supervises any number of attempts at once; the queue decides how many. */
export function createSupervisor(parts: WorkerParts): Supervisor {
  const open = new Set<Attempt>();
  const preempt = (attempt: Attempt) => attempt.control.request("preempted", parts.config.DRAIN_GRACE_S * 1000);
  let preempting = false;

  async function runClaimed(attempt: Attempt, began: number): Promise<void> {
    const claim_ms = millisecondsSince(began);
    const memoryKills = countMemoryKills();
    let launched: Awaited<ReturnType<typeof launch>>;
    try {
      launched = await launch(parts, attempt);
    } catch (error) {
      attempt.logger.error({ err: error }, "the trainer was not started");
      return await close(parts, attempt, NO_EXIT, launchFailure(error));
    }
    const { trainer, door } = launched;
    const launch_ms = millisecondsSince(began);
    parts.metrics.launchSeconds.observe(launch_ms / 1000);
    attempt.control.attach(trainer);
    attempt.logger.info({ pid: trainer.identity.pid, events: door.mode, claim_ms, launch_ms }, "trainer started");
    try {
      const running = listen(parts, attempt, trainer, door, memoryKills);
      const exit = await settle(parts, attempt, running);
      await close(parts, attempt, exit, judge(parts, attempt, running, exit));
    } catch (error) {
      attempt.logger.error({ err: error }, "the trainer cannot be watched: ended");
      await parts.launcher.stop(trainer, "SIGKILL");
      await close(parts, attempt, NO_EXIT, lostByWorker(error));
    }
  }

  return {
    get busy() {
      return open.size;
    },
    async run(ids) {
      const began = performance.now();
      const attempt = openAttempt(
        parts,
        await claim(parts.client, ids, { worker_id: parts.workerId, host: parts.host }),
      );
      open.add(attempt);
      if (preempting) preempt(attempt);
      try {
        await runClaimed(attempt, began);
      } finally {
        attempt.lease.stop();
        open.delete(attempt);
      }
    },
    hint(jobId) {
      for (const attempt of open) if (attempt.spec.job_id === jobId) attempt.lease.renewNow();
    },
    preemptAll() {
      preempting = true;
      for (const attempt of open) preempt(attempt);
    },
  };
}
