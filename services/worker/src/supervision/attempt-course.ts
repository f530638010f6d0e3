/** The course of one attempt, from its launch or adoption to its end. */
import { performance } from "node:perf_hooks";
import { inSpan } from "@vision-platform/common/tracing";
import { type Decision, stoppedOnRequest } from "@vision-platform/contracts/last-word";
import { type Exit, LaunchError, type Trainer } from "../launchers/launcher.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { type Attempt, launch, takeOver } from "./attempt.ts";
import { endAttemptSpan } from "./attempt-span.ts";
import { cleanUp, endAttempt, FINISH_LIMIT_MS, forget } from "./ending.ts";
import type { EventDoor } from "./environment.ts";
import { countMemoryKills } from "./memory-evidence.ts";
import { judge, listen, settle } from "./watching.ts";

const NO_EXIT: Exit = { code: null, signal: null };

/** To a tenth. */
function millisecondsSince(moment: number): number {
  return Math.round((performance.now() - moment) * 10) / 10;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 3_900);
}

/** A launch that ended because nobody wanted the trainer any more is told by that reason, not as a failure. */
function launchFailure({ control }: Attempt, error: unknown): Decision {
  if (control.reason !== null) return stoppedOnRequest(control.reason);
  const code = error instanceof LaunchError ? error.code : "LAUNCH_FAILED";
  return { outcome: "failed", failure: { code, message: messageOf(error) } };
}

function lostByWorker(error: unknown): Decision {
  return { outcome: "lost", failure: { code: "WORKER_LOST", message: `The worker failed: ${messageOf(error)}` } };
}

/** Reported: what the launch made goes, and what this worker kept. Refused: the trainer may be another worker's by now. */
async function clear(parts: WorkerParts, attempt: Attempt, trainer: Trainer | null, accepted: boolean): Promise<void> {
  const { record, directory, logger } = attempt;
  if (!accepted && parts.launcher.outlivesWorker) return await forget(parts, record, directory);
  if (trainer) {
    await parts.launcher.remove(trainer).catch((error: unknown) => logger.warn({ err: error }, "trainer not removed"));
  }
  await cleanUp(parts, record, directory);
}

async function close(
  parts: WorkerParts,
  attempt: Attempt,
  trainer: Trainer | null,
  exit: Exit,
  decision: Decision,
): Promise<void> {
  const { api, directory, record, redact, control, span, logger } = attempt;
  if (control.lost.aborted) {
    await clear(parts, attempt, trainer, false);
    parts.metrics.attempts.inc({ outcome: "given_up" });
    return;
  }
  const signal = AbortSignal.any([control.lost, parts.outOfTime, AbortSignal.timeout(FINISH_LIMIT_MS)]);
  const answer = await inSpan("finish", { parent: span.traceparent }, ({ traceparent }) => {
    api.traceparent = traceparent;
    return endAttempt(parts, { api, directory, record, exit, decision, redact, signal, logger });
  });
  if (answer !== "unanswered") await clear(parts, attempt, trainer, answer === "accepted");
  if (answer === "accepted") endAttemptSpan(span, decision);
}

/** The trainer goes on without this worker; whoever finds it goes on where the gateway stands. */
async function letGo(parts: WorkerParts, attempt: Attempt): Promise<void> {
  attempt.lease.stop();
  await forget(parts, attempt.record, attempt.directory);
  if (attempt.control.lost.aborted) {
    parts.metrics.attempts.inc({ outcome: "given_up" });
    return;
  }
  try {
    await attempt.api.release();
    attempt.logger.info("the trainer goes on; its attempt is released");
  } catch (error) {
    attempt.logger.warn({ err: error }, "not released: the attempt can be adopted when its lease is over");
  }
  parts.metrics.attempts.inc({ outcome: "released" });
}

/** Follows a trainer to its end, or until it goes on without this worker. */
async function follow(
  parts: WorkerParts,
  attempt: Attempt,
  trainer: Trainer | null,
  door: EventDoor,
  memoryKills: number,
): Promise<void> {
  if (trainer) attempt.control.attach(trainer);
  try {
    const running = listen(parts, attempt, trainer, door, memoryKills);
    const { traceparent: parent } = attempt.span;
    const exit = await inSpan("run", { parent }, () => settle(parts, attempt, running));
    if (exit === null) return await letGo(parts, attempt);
    await close(parts, attempt, trainer, exit, judge(parts, attempt, running, exit));
  } catch (error) {
    attempt.logger.error({ err: error }, "the trainer cannot be watched: ended");
    if (trainer) await parts.launcher.stop(trainer, "SIGKILL");
    await close(parts, attempt, trainer, NO_EXIT, lostByWorker(error));
  }
}

/** From the launch to the end. Never rejects. `began` is when the claim was asked for, by performance.now(). */
export async function runClaimed(parts: WorkerParts, attempt: Attempt, began: number): Promise<void> {
  const claim_ms = millisecondsSince(began);
  const memoryKills = countMemoryKills();
  let launched: Awaited<ReturnType<typeof launch>>;
  try {
    launched = await inSpan("launch", { parent: attempt.span.traceparent }, () => launch(parts, attempt));
  } catch (error) {
    attempt.logger.error({ err: error, reason: attempt.control.reason }, "the trainer was not started");
    return await close(parts, attempt, null, NO_EXIT, launchFailure(attempt, error));
  }
  const { trainer, door } = launched;
  const launch_ms = millisecondsSince(began);
  parts.metrics.launchSeconds.observe(launch_ms / 1000);
  const handle = trainer.identity.handle;
  attempt.logger.info({ trainer: handle, events: door.mode, claim_ms, launch_ms }, "trainer started");
  await follow(parts, attempt, trainer, door, memoryKills);
}

/** From finding the trainer to the end. Never rejects. */
export async function runAdopted(parts: WorkerParts, attempt: Attempt): Promise<void> {
  const memoryKills = countMemoryKills();
  let found: Awaited<ReturnType<typeof takeOver>>;
  try {
    found = await takeOver(parts, attempt);
  } catch (error) {
    attempt.logger.warn({ err: error }, "the trainer cannot be looked for now");
    return await letGo(parts, attempt);
  }
  attempt.logger.info({ trainer: found.trainer?.identity.handle ?? null, events: found.door.mode }, "trainer adopted");
  await follow(parts, attempt, found.trainer, found.door, memoryKills);
}
