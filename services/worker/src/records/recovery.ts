/** Finishes what a dead worker of this host began: ends its trainers, and tells the gateway what became of them. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@vision-platform/common/logger";
import type { LauncherName } from "@vision-platform/contracts/api/workers";
import { decision } from "@vision-platform/contracts/last-word";
import { inStream } from "@vision-platform/contracts/names";
import { type AttemptApi, createAttemptApi, isFenced } from "../attempt-api.ts";
import { createRedactor } from "../logs/redaction.ts";
import { attemptDirectory, writeStopReason } from "../supervision/attempt-directory.ts";
import { endAttemptSpan, startOrphanSpan } from "../supervision/attempt-span.ts";
import { cleanUp, endAttempt, FINISH_LIMIT_MS, forget } from "../supervision/ending.ts";
import { batches, pushBatch } from "../supervision/event-push.ts";
import { deliverFinish } from "../supervision/finishing.ts";
import { readEntry } from "../supervision/stream-tail.ts";
import type { Supervisor } from "../supervision/supervisor.ts";
import type { WorkerParts } from "../worker-parts.ts";
import type { AttemptRecord } from "./attempt-record.ts";

/** What an orphaned trainer gets to save and end: the next attempt waits for it. */
const ORPHAN_GRACE_MS = 4_000;

/** The gateway believes a trainer that had said its last word; any other attempt was lost with its worker. */
const LOST = decision("lost", "WORKER_LOST", "The worker of this attempt ended without finishing it.");

interface Orphan {
  record: AttemptRecord;
  api: AttemptApi;
  logger: Logger;
  /** The gateway says that the attempt is somebody else's by now. */
  fenced: boolean;
}

async function isFencedOff(api: AttemptApi): Promise<boolean> {
  try {
    await api.renew();
    return false;
  } catch (error) {
    return isFenced(error);
  }
}

/** With the lease still ours the trainer may save; without it every further write of its would be a mistake. */
async function endTrainer(parts: WorkerParts, { record, fenced, logger }: Orphan): Promise<void> {
  const directory = attemptDirectory(parts.config.WORK_DIR, record);
  // Another launcher's trainers are ended by their own: here only processes can be left.
  const launcher = record.launcher === "subprocess" ? parts.processes : parts.launcher;
  if (launcher.name !== record.launcher) return;
  const trainer = await launcher.adopt(record, record.trainer, directory);
  if (!trainer) return;
  logger.warn({ trainer: trainer.identity.handle, fenced }, "ending the trainer of a dead worker");
  if (!fenced) {
    writeStopReason(directory, "preempted");
    await launcher.stop(trainer, "SIGTERM");
    await Promise.race([launcher.wait(trainer), sleep(ORPHAN_GRACE_MS)]);
  }
  await launcher.stop(trainer, "SIGKILL");
  await launcher.remove(trainer);
}

/** Brings what the dead worker had not yet brought to the gateway. */
async function forwardRest(parts: WorkerParts, { record, api, logger }: Orphan, signal: AbortSignal): Promise<void> {
  const entries = await parts.redis.xrange(inStream(record.job_id, record.attempt), "-", "+");
  const events = entries.map(readEntry).filter((event) => event !== null);
  const push = {
    source: "trainer" as const,
    signal,
    onCancel: () => undefined,
    onRefused: (_event: unknown, reason: unknown) => logger.warn({ err: reason }, "event refused"),
  };
  for (const batch of batches(events)) await pushBatch(api, batch, push);
}

async function report(parts: WorkerParts, orphan: Orphan): Promise<void> {
  const { record, api, logger } = orphan;
  const directory = attemptDirectory(parts.config.WORK_DIR, record);
  if (orphan.fenced) return await cleanUp(parts, record, directory);
  const span = startOrphanSpan({ ...record, framework: parts.config.FRAMEWORK }, parts.workerId);
  api.traceparent = span.traceparent;
  const signal = AbortSignal.any([parts.outOfTime, AbortSignal.timeout(FINISH_LIMIT_MS)]);
  if (record.finish) {
    const answer = await deliverFinish(api, record.finish, signal, logger);
    if (answer === "accepted") endAttemptSpan(span, record.finish);
    if (answer !== "unanswered") await cleanUp(parts, record, directory);
    return;
  }
  await forwardRest(parts, orphan, signal).catch((error: unknown) =>
    logger.warn({ err: error }, "the rest of the events was not forwarded"),
  );
  const exit = { code: null, signal: null };
  const redact = createRedactor(record.secrets);
  const answer = await endAttempt(parts, { api, directory, record, exit, decision: LOST, redact, signal, logger });
  if (answer !== "unanswered") await cleanUp(parts, record, directory);
}

/** Containers and Jobs went on without the worker that wrote this. */
function isOutliving({ launcher }: WorkerParts, name: LauncherName): boolean {
  return name === launcher.name && launcher.outlivesWorker;
}

/** With the dead worker's own token nobody has to wait for its lease to run out. */
async function goOn(parts: WorkerParts, supervisor: Supervisor, record: AttemptRecord): Promise<void> {
  try {
    await supervisor.adopt(record, record.trainer, record.lease_token);
  } catch (error) {
    const { job_id, attempt } = record;
    parts.logger.warn({ err: error, job_id, attempt }, "the attempt of a dead worker is not to be had");
    // What is left of it is found by those who look for trainers that nobody looks after.
    if (isFenced(error)) await forget(parts, record, attemptDirectory(parts.config.WORK_DIR, record));
  }
}

/**
 * Trainers that outlive their worker are taken over. Resolves when the other trainers of dead workers are gone; `reported` when the gateway knows it, too. Never rejects.
 */
export async function recoverOrphans(
  parts: WorkerParts,
  supervisor: Supervisor,
): Promise<{ found: number; reported: Promise<void> }> {
  const records = parts.records.takeOrphans();
  const lives = ({ launcher, finish }: AttemptRecord) => isOutliving(parts, launcher) && finish === undefined;
  await Promise.all(records.filter(lives).map((record) => goOn(parts, supervisor, record)));
  const recovering = records
    .filter((record) => !lives(record))
    .map(async (record) => {
      const logger = parts.logger.child({ job_id: record.job_id, attempt: record.attempt });
      const api = createAttemptApi(parts.client, record);
      const orphan = { record, api, logger, fenced: await isFencedOff(api) };
      await endTrainer(parts, orphan).catch((error: unknown) =>
        logger.error({ err: error }, "orphaned trainer not ended"),
      );
      return orphan;
    });
  const orphans = await Promise.all(recovering);
  const reports = orphans.map((orphan) =>
    report(parts, orphan).catch((error: unknown) =>
      orphan.logger.error({ err: error }, "orphaned attempt not reported"),
    ),
  );
  return { found: orphans.length, reported: Promise.all(reports).then(() => undefined) };
}
