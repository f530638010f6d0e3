/** The last steps of an attempt: log to the storage, outcome to the gateway, everything of it away. */
import { constants } from "node:os";
import type { Logger } from "@vision-platform/common/logger";
import type { Decision } from "@vision-platform/contracts/last-word";
import type { AttemptApi } from "../attempt-api.ts";
import type { Exit } from "../launchers/launcher.ts";
import { uploadLog } from "../logs/log-upload.ts";
import type { AttemptRecord } from "../records/attempt-record.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { type AttemptDirectory, removeDirectory } from "./attempt-directory.ts";
import { deliverFinish, type FinishAnswer } from "./finishing.ts";

/** How long the end of an attempt waits for a gateway that is away. Beyond it the next start of a worker goes on. */
export const FINISH_LIMIT_MS = 600_000;
const UPLOAD_LIMIT_MS = 15_000;
/** A worker that is being stopped must still tell the gateway, and the next attempt has a log of its own. */
const HURRIED_UPLOAD_LIMIT_MS = 700;

export interface EndedAttempt {
  api: AttemptApi;
  directory: AttemptDirectory;
  record: AttemptRecord;
  exit: Exit;
  decision: Decision;
  redact: (text: string) => string;
  /** Aborted when nobody wants to hear of this attempt any more, or there is no more time. */
  signal: AbortSignal;
  logger: Logger;
}

/** As a shell says it: 128 and the signal's number for a trainer that a signal ended. */
function exitCode({ code, signal }: Exit): number | null {
  return signal === null ? code : 128 + constants.signals[signal];
}

type Shared = Pick<WorkerParts, "s3" | "config" | "records" | "access" | "metrics">;

async function storeLog(parts: Shared, ended: EndedAttempt): Promise<number | undefined> {
  const { directory, record, redact, signal, logger } = ended;
  const hurried = ["preempted", "interrupted"].includes(ended.decision.outcome);
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(hurried ? HURRIED_UPLOAD_LIMIT_MS : UPLOAD_LIMIT_MS)]);
    return await uploadLog({
      s3: parts.s3,
      bucket: parts.config.STORAGE_BUCKET,
      ids: record,
      file: directory.log,
      redact,
      signal: limit,
    });
  } catch (error) {
    logger.warn({ err: error }, "the log was not stored");
    return undefined;
  }
}

/** Takes folder, Redis user, stream and record away; the record last, so that a crash in between is repaired. */
export async function cleanUp(parts: Shared, record: AttemptRecord, directory: AttemptDirectory): Promise<void> {
  await Promise.all([removeDirectory(directory), parts.access.close(record)]);
  parts.records.remove(record);
}

/** Takes away what this worker keeps of an attempt that another one has now; Redis user and stream are the other's. */
export async function forget(parts: Shared, record: AttemptRecord, directory: AttemptDirectory): Promise<void> {
  parts.access.leave(record);
  await removeDirectory(directory);
  parts.records.remove(record);
}

/** Never rejects. While the answer is `unanswered`, record and folder must stay for the next start of a worker. */
export async function endAttempt(parts: Shared, ended: EndedAttempt): Promise<FinishAnswer> {
  const { api, record, decision, exit, logger } = ended;
  const log_bytes = await storeLog(parts, ended);
  const finish = { ...decision, exit_code: exitCode(exit), ...(log_bytes === undefined ? {} : { log_bytes }) };
  try {
    parts.records.write({ ...record, finish });
  } catch (error) {
    logger.warn({ err: error }, "the end of the attempt was not written down");
  }
  const answer = await deliverFinish(api, finish, ended.signal, logger);
  parts.metrics.attempts.inc({ outcome: answer === "accepted" ? decision.outcome : answer });
  logger.info({ outcome: decision.outcome, code: decision.failure?.code, exit, answer }, "attempt ended");
  return answer;
}
