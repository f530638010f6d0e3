/** Attempts from claim to finish. */
import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { Logger } from "@vision-platform/common/logger";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { inStream } from "@vision-platform/contracts/names";
import { type AttemptApi, claim, createAttemptApi } from "../attempt-api.ts";
import { type Exit, LaunchError, type Trainer } from "../launchers/launcher.ts";
import { type LogTail, startLogTail } from "../logs/log-tail.ts";
import { createRedactor } from "../logs/redaction.ts";
import type { AttemptRecord } from "../records/attempt-record.ts";
import type { WorkerParts } from "../worker-parts.ts";
import { type AttemptDirectory, attemptDirectory, attemptName, prepareDirectory } from "./attempt-directory.ts";
import { cleanUp, endAttempt, FINISH_LIMIT_MS } from "./ending.ts";
import { type EventDoor, trainerEnvironment, trainerSecrets } from "./environment.ts";
import { keepLease, type Lease } from "./lease.ts";
import { countMemoryKills, ranOutOfMemory } from "./memory-evidence.ts";
import { type Decision, decideOutcome } from "./outcome.ts";
import { createStopControl, type StopControl } from "./stop-control.ts";
import { startStreamTail, type StreamTail } from "./stream-tail.ts";
import { createWorkerEvents, type WorkerEvents } from "./worker-events.ts";

/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2_147_483_647;
const NO_EXIT: Exit = { code: null, signal: null };

/** One claimed attempt and what belongs to it while it runs. */
interface Attempt {
  spec: AttemptSpec;
  api: AttemptApi;
  directory: AttemptDirectory;
  record: AttemptRecord;
  control: StopControl;
  lease: Lease;
  redact: (text: string) => string;
  logger: Logger;
}

/** The trainer of an attempt, and those who listen to it. */
interface Running {
  trainer: Trainer;
  stream: StreamTail | null;
  log: LogTail;
  events: WorkerEvents;
  memoryKills: number;
}

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

function openAttempt(parts: WorkerParts, spec: AttemptSpec): Attempt {
  const { config } = parts;
  const logger = parts.logger.child({ job_id: spec.job_id, attempt: spec.attempt, trace_id: spec.trace_id });
  const api = createAttemptApi(parts.client, { job_id: spec.job_id, attempt: spec.attempt, lease_token: spec.lease_token });
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
async function launch(parts: WorkerParts, attempt: Attempt): Promise<{ trainer: Trainer; door: EventDoor }> {
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

function listen(parts: WorkerParts, attempt: Attempt, trainer: Trainer, door: EventDoor, memoryKills: number): Running {
  const { spec, api, directory, control, logger } = attempt;
  const onCancel = () => control.request("cancelled", parts.config.GRACE_S * 1000);
  const shared = { api, signal: control.lost, onCancel, logger };
  const events = createWorkerEvents({ ...shared, after: spec.last_worker_seq });
  const log = startLogTail(directory.log, (text) => attempt.redact(text), (message) => events.emit("log", { ...message }));
  const stream =
    door.mode === "http"
      ? null
      : startStreamTail({
          ...shared,
          stream: inStream(spec.job_id, spec.attempt),
          after: spec.last_src_seq,
          blocking: parts.connectReader(),
          command: parts.redis,
        });
  return { trainer, stream, log, events, memoryKills };
}

/** Waits for the trainer's end, and for everything it said to have arrived. */
async function settle(parts: WorkerParts, attempt: Attempt, running: Running): Promise<Exit> {
  const { control } = attempt;
  const { trainer, stream, log, events } = running;
  const runtime = Math.min((parts.config.MAX_RUNTIME_S + parts.config.GRACE_S) * 1000, LONGEST_TIMER_MS);
  // The trainer has a clock of its own; this one is for a trainer that does not look at it.
  const overtime = setTimeout(() => control.request("timeout", parts.config.GRACE_S * 1000), runtime);
  const exit = await parts.launcher.wait(trainer);
  clearTimeout(overtime);
  control.release();
  await parts.launcher.stop(trainer, "SIGKILL");
  const hurry = AbortSignal.any([parts.outOfTime, control.lost]);
  await Promise.all([stream?.finish(FINISH_LIMIT_MS, hurry), log.finish()]);
  if (stream && stream.counts.unreadable > 0) {
    const message = `${stream.counts.unreadable} entries of the trainer's stream were no events of the contract`;
    events.emit("warning", { code: "unreadable_events", message });
  }
  await events.finish(FINISH_LIMIT_MS, hurry);
  if (stream) parts.metrics.events.inc({ source: "trainer" }, stream.counts.forwarded);
  return exit;
}

function judge(parts: WorkerParts, attempt: Attempt, running: Running, exit: Exit): Decision {
  const logTail = running.log.tail();
  return decideOutcome({
    exit,
    terminal: running.stream === null ? undefined : running.stream.terminal,
    stopReason: attempt.control.reason,
    outOfMemory: ranOutOfMemory(running.memoryKills, parts.config.MAX_MEMORY_BYTES !== undefined, logTail),
    logTail,
  });
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
    const memoryKills = countMemoryKills();
    let launched: Awaited<ReturnType<typeof launch>>;
    try {
      launched = await launch(parts, attempt);
    } catch (error) {
      attempt.logger.error({ err: error }, "the trainer was not started");
      return await close(parts, attempt, NO_EXIT, launchFailure(error));
    }
    const { trainer, door } = launched;
    const launch_ms = Math.round((performance.now() - began) * 10) / 10;
    parts.metrics.launchSeconds.observe(launch_ms / 1000);
    attempt.control.attach(trainer);
    attempt.logger.info({ pid: trainer.identity.pid, events: door.mode, launch_ms }, "trainer started");
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
      const attempt = openAttempt(parts, await claim(parts.client, ids, { worker_id: parts.workerId, host: parts.host }));
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
