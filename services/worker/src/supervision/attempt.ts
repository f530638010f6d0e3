/** One claimed attempt: what belongs to it, and the way to its running trainer. */
import { randomBytes } from "node:crypto";
import type { Logger } from "@vision-platform/common/logger";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { type AttemptApi, createAttemptApi } from "../attempt-api.ts";
import type { Trainer } from "../launchers/launcher.ts";
import { createRedactor } from "../logs/redaction.ts";
import type { AttemptRecord } from "../records/attempt-record.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { type AttemptDirectory, attemptDirectory, attemptName, prepareDirectory } from "./attempt-directory.ts";
import { type EventDoor, trainerEnvironment, trainerSecrets } from "./environment.ts";
import { keepLease, type Lease } from "./lease.ts";
import { createStopControl, type StopControl } from "./stop-control.ts";

export interface Attempt {
  spec: AttemptSpec;
  api: AttemptApi;
  directory: AttemptDirectory;
  record: AttemptRecord;
  control: StopControl;
  lease: Lease;
  redact: (text: string) => string;
  logger: Logger;
}

/** The lease is kept from here on, until `lease.stop()`. */
export function openAttempt(parts: WorkerParts, spec: AttemptSpec): Attempt {
  const { config } = parts;
  const logger = parts.logger.child({ job_id: spec.job_id, attempt: spec.attempt, trace_id: spec.trace_id });
  const api = createAttemptApi(parts.client, {
    job_id: spec.job_id,
    attempt: spec.attempt,
    lease_token: spec.lease_token,
  });
  const directory = attemptDirectory(config.WORK_DIR, spec);
  const secrets = [spec.callback_token, config.S3_SECRET_ACCESS_KEY];
  const marker = `${attemptName(spec)}-${randomBytes(6).toString("hex")}`;
  const record = parts.records.draft({ ...api.fence, secrets, trainer: { marker, pid: null, start_time: null } });
  const control = createStopControl(directory, parts.launcher, logger);
  const onCancel = () => control.request("cancelled", config.GRACE_S * 1000);
  const lease = keepLease(api, { onCancel, onLost: () => control.abandon() }, logger);
  return { spec, api, directory, record, control, lease, redact: createRedactor(secrets), logger };
}

/** Everything between the claim and the running process: kept short, the user waits for it. */
export async function launch(parts: WorkerParts, attempt: Attempt): Promise<{ trainer: Trainer; door: EventDoor }> {
  const { spec, directory, record } = attempt;
  const { config } = parts;
  const command = parts.commandFor(spec.kind);
  const opening = parts.access.open(spec);
  opening.catch(() => undefined);
  // The intent is on disk before anything is made: from here on a dead worker leaves nothing that is not found.
  parts.records.write(record);
  prepareDirectory(directory);
  const door = await opening;
  const env = trainerEnvironment(spec, config, directory, door, parts.threads);
  attempt.redact = createRedactor(trainerSecrets(env));
  const trainer = await parts.launcher.launch({
    marker: record.trainer.marker,
    command,
    env,
    directory: directory.path,
    logFile: directory.log,
    memoryBytes: config.MAX_MEMORY_BYTES,
    nice: config.TRAINER_NICE,
  });
  attempt.record = { ...record, trainer: trainer.identity };
  parts.records.write(attempt.record);
  return { trainer, door };
}
