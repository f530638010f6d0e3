/** Watches a running trainer: its events, its log, its clock, its end. */
import { type Decision, decision } from "@vision-platform/contracts/last-word";
import { inStream } from "@vision-platform/contracts/names";
import type { Exit, Trainer } from "../launchers/launcher.ts";
import { type LogTail, startLogTail } from "../logs/log-tail.ts";
import type { WorkerParts } from "../worker-parts.ts";
import type { Attempt } from "./attempt.ts";
import { FINISH_LIMIT_MS } from "./ending.ts";
import type { EventDoor } from "./environment.ts";
import { ranOutOfMemory } from "./memory-evidence.ts";
import { decideOutcome } from "./outcome.ts";
import { type StreamTail, startStreamTail } from "./stream-tail.ts";

/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2_147_483_647;

const VANISHED = decision(
  "lost",
  "WORKER_LOST",
  "The worker of this attempt ended, and nothing was left of its trainer.",
);

/** After a release the next worker goes on where the gateway stands: what is not there yet is not lost. */
const LEAVE_LIMIT_MS = 1_000;

/** The trainer of an attempt, and those who listen to it. */
export interface Running {
  /** null: nothing is left of it but what it has said. */
  trainer: Trainer | null;
  stream: StreamTail | null;
  log: LogTail;
  memoryKills: number;
}

/** Starts to follow what the trainer says. `memoryKills` was counted before it started. */
export function listen(
  parts: WorkerParts,
  attempt: Attempt,
  trainer: Trainer | null,
  door: EventDoor,
  memoryKills: number,
): Running {
  const { spec, api, directory, control, events, logger } = attempt;
  const onCancel = () => control.request("cancelled", parts.config.GRACE_S * 1000);
  const shared = { api, signal: control.lost, onCancel, logger };
  const log = startLogTail({
    file: directory.log,
    redact: (text) => attempt.redact(text),
    emit: (message) => events.emit("log", { ...message }),
    from: spec.last_log_offset,
  });
  const stream =
    door.mode === "http"
      ? null
      : startStreamTail({
          ...shared,
          stream: inStream(spec.job_id, spec.attempt),
          after: spec.last_src_seq,
          blocking: parts.connectReader(),
          command: parts.redis,
          onForwarded: (count) => parts.metrics.events.inc({ source: "trainer" }, count),
        });
  return { trainer, stream, log, memoryKills };
}

/** The trainer's end, with every process of it gone; null when it goes on without this worker. */
async function exitOf(parts: WorkerParts, { control }: Attempt, trainer: Trainer): Promise<Exit | null> {
  const runtime = Math.min((parts.config.MAX_RUNTIME_S + parts.config.GRACE_S) * 1000, LONGEST_TIMER_MS);
  // The trainer has a clock of its own; this one is for a trainer that does not look at it.
  const overtime = setTimeout(() => control.request("timeout", parts.config.GRACE_S * 1000), runtime);
  const left = new Promise<null>((resolve) => {
    if (control.left.aborted) resolve(null);
    control.left.addEventListener("abort", () => resolve(null), { once: true });
  });
  const exit = await Promise.race([parts.launcher.wait(trainer), left]);
  clearTimeout(overtime);
  control.release();
  if (exit !== null) await parts.launcher.stop(trainer, "SIGKILL");
  return exit;
}

async function stopListening({ events }: Attempt, { stream, log }: Running): Promise<void> {
  const hurry = AbortSignal.timeout(LEAVE_LIMIT_MS);
  await Promise.all([log.leave(), stream?.leave()]);
  await events.finish(LEAVE_LIMIT_MS, hurry);
}

/**
 * Waits for the trainer's end, and for everything it said to have arrived; null when the trainer goes on without this
 * worker.
 */
export async function settle(parts: WorkerParts, attempt: Attempt, running: Running): Promise<Exit | null> {
  const { control, events } = attempt;
  const { trainer, stream, log } = running;
  const exit = trainer === null ? { code: null, signal: null } : await exitOf(parts, attempt, trainer);
  if (exit === null) {
    await stopListening(attempt, running);
    return null;
  }
  const hurry = AbortSignal.any([parts.outOfTime, control.lost]);
  await Promise.all([stream?.finish(FINISH_LIMIT_MS, hurry), log.finish()]);
  if (stream && stream.unreadable > 0) {
    const message = `${stream.unreadable} entries of the trainer's stream were no events of the contract`;
    events.emit("warning", { code: "unreadable_events", message });
  }
  await events.finish(FINISH_LIMIT_MS, hurry);
  return exit;
}

/** What became of the attempt. */
export function judge(parts: WorkerParts, attempt: Attempt, running: Running, exit: Exit): Decision {
  const logTail = running.log.tail();
  const terminal = running.stream?.terminal ?? attempt.spec.terminal;
  if (running.trainer === null && terminal === null) return VANISHED;
  return decideOutcome({
    exit,
    terminal: terminal ?? (running.stream === null ? undefined : null),
    stopReason: attempt.control.reason,
    outOfMemory:
      exit.outOfMemory ?? ranOutOfMemory(running.memoryKills, parts.config.MAX_MEMORY_BYTES !== undefined, logTail),
    logTail,
  });
}
