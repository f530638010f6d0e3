/** One claimed attempt: what belongs to it, and the way to its running trainer. */
import { randomBytes } from "node:crypto";
import type { Logger } from "@vision-platform/common/logger";
import type { Span } from "@vision-platform/common/tracing";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { type AttemptApi, createAttemptApi } from "../attempt-api.ts";
import type { Trainer, TrainerIdentity } from "../launchers/launcher.ts";
import { createRedactor } from "../logs/redaction.ts";
import type { AttemptRecord } from "../records/attempt-record.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { type AttemptDirectory, attemptDirectory, attemptName, prepareDirectory } from "./attempt-directory.ts";
import { startAttemptSpan, type Taken } from "./attempt-span.ts";
import { type EventDoor, trainerEnvironment, trainerSecrets } from "./environment.ts";
import { keepLease, type Lease } from "./lease.ts";
import { createStopControl, type StopControl } from "./stop-control.ts";
import { createWaitingNews } from "./waiting-news.ts";
import { createWorkerEvents, type WorkerEvents } from "./worker-events.ts";

export interface Attempt {
  spec: AttemptSpec;
  api: AttemptApi;
  directory: AttemptDirectory;
  record: AttemptRecord;
  control: StopControl;
  lease: Lease;
  /** What the worker itself has to say about the attempt. */
  events: WorkerEvents;
  redact: (text: string) => string;
  /** The parent of everything that happens within the attempt. */
  span: Span;
  logger: Logger;
}

function newTrainer(spec: AttemptSpec): TrainerIdentity {
  return { marker: `${attemptName(spec)}-${randomBytes(6).toString("hex")}`, handle: null };
}

/** The lease is kept from here on, until `lease.stop()`. `adopted` is the trainer of an attempt taken over. */
export function openAttempt(
  parts: WorkerParts,
  spec: AttemptSpec,
  taken: Taken = {},
  adopted?: TrainerIdentity,
): Attempt {
  const { config } = parts;
  const logger = parts.logger.child({ job_id: spec.job_id, attempt: spec.attempt, trace_id: spec.trace_id });
  const api = createAttemptApi(parts.client, {
    job_id: spec.job_id,
    attempt: spec.attempt,
    lease_token: spec.lease_token,
  });
  const span = startAttemptSpan(spec, parts.workerId, taken);
  api.traceparent = span.traceparent;
  const directory = attemptDirectory(config.WORK_DIR, spec);
  const secrets = [spec.callback_token, config.S3_SECRET_ACCESS_KEY];
  const record = parts.records.draft({
    ...api.fence,
    secrets,
    launcher: parts.launcher.name,
    trainer: adopted ?? newTrainer(spec),
    traceparent: taken.traceparent ?? spec.traceparent,
  });
  const control = createStopControl(directory, parts.launcher, logger, adopted !== undefined);
  const onCancel = () => control.request("cancelled", config.GRACE_S * 1000);
  const lease = keepLease(api, { onCancel, onLost: () => control.abandon() }, logger);
  const events = createWorkerEvents({ api, after: spec.last_worker_seq, signal: control.lost, onCancel, logger });
  return { spec, api, directory, record, control, lease, events, redact: createRedactor(secrets), span, logger };
}

/** Everything between the claim and the running process: kept short, the user waits for it. */
export async function launch(parts: WorkerParts, attempt: Attempt): Promise<{ trainer: Trainer; door: EventDoor }> {
  const { spec, directory, record } = attempt;
  const { config, launcher } = parts;
  const command = parts.program.commandFor(spec.kind);
  const opening = parts.access.open(spec);
  opening.catch(() => undefined);
  // The intent is on disk before anything is made: from here on a dead worker leaves nothing that is not found.
  parts.records.write(record);
  prepareDirectory(directory);
  const door = await opening;
  const env = trainerEnvironment(
    { ...spec, traceparent: attempt.span.traceparent },
    config,
    launcher.surroundings(directory),
    door,
    parts.threads,
  );
  attempt.redact = createRedactor(trainerSecrets(env));
  const news = createWaitingNews(attempt.events);
  const trainer = await launcher.launch({
    job_id: spec.job_id,
    attempt: spec.attempt,
    framework: spec.framework,
    kind: spec.kind,
    trace_id: spec.trace_id,
    marker: record.trainer.marker,
    command,
    image: parts.program.image(),
    env,
    directory,
    memoryBytes: config.MAX_MEMORY_BYTES,
    cpus: config.TRAINER_CPUS,
    shmBytes: Math.max(config.TRAINER_SHM_BYTES, parts.program.shmBytes()),
    gpus: parts.gpus.idsFor(spec),
    allowNetwork: config.ALLOW_NETWORK,
    maxRuntimeS: config.MAX_RUNTIME_S + config.GRACE_S,
    nice: config.TRAINER_NICE,
    onWaiting: news.tell,
    onWarning: (warning) => attempt.events.emit("warning", warning),
    signal: attempt.control.unwanted,
  });
  news.over();
  attempt.record = { ...record, trainer: trainer.identity };
  parts.records.write(attempt.record);
  return { trainer, door };
}

/**
 * Finds the trainer of an attempt that another worker began; null when nothing is left of it. Rejects while Redis or the
 * launcher's engine is away.
 */
export async function takeOver(
  parts: WorkerParts,
  attempt: Attempt,
): Promise<{ trainer: Trainer | null; door: EventDoor }> {
  const { spec, directory, record } = attempt;
  parts.records.write(record);
  prepareDirectory(directory);
  const door = await parts.access.reopen(spec);
  const secrets = { CALLBACK_TOKEN: spec.callback_token, S3_SECRET_ACCESS_KEY: parts.config.S3_SECRET_ACCESS_KEY };
  attempt.redact = createRedactor(
    trainerSecrets({ ...secrets, ...(door.mode === "redis" ? { EVENTS_REDIS_URL: door.url } : {}) }),
  );
  const trainer = await parts.launcher.adopt(spec, record.trainer, directory);
  if (trainer) {
    attempt.record = { ...record, trainer: trainer.identity };
    parts.records.write(attempt.record);
  }
  return { trainer, door };
}
