/** Watches a running trainer: its events, its log, its clock, its end. */
import { inStream } from "@vision-platform/contracts/names";
import type { Exit, Trainer } from "../launchers/launcher.ts";
import { type LogTail, startLogTail } from "../logs/log-tail.ts";
import type { WorkerParts } from "../worker-parts.ts";
import type { Attempt } from "./attempt.ts";
import { FINISH_LIMIT_MS } from "./ending.ts";
import type { EventDoor } from "./environment.ts";
import { ranOutOfMemory } from "./memory-evidence.ts";
import { type Decision, decideOutcome } from "./outcome.ts";
import { type StreamTail, startStreamTail } from "./stream-tail.ts";
import { createWorkerEvents, type WorkerEvents } from "./worker-events.ts";

/** setTimeout takes no more. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** The trainer of an attempt, and those who listen to it. */
export interface Running {
  trainer: Trainer;
  stream: StreamTail | null;
  log: LogTail;
  events: WorkerEvents;
  memoryKills: number;
}

/** Starts to follow what the trainer says. `memoryKills` was counted before it started. */
export function listen(
  parts: WorkerParts,
  attempt: Attempt,
  trainer: Trainer,
  door: EventDoor,
  memoryKills: number,
): Running {
  const { spec, api, directory, control, logger } = attempt;
  const onCancel = () => control.request("cancelled", parts.config.GRACE_S * 1000);
  const shared = { api, signal: control.lost, onCancel, logger };
  const events = createWorkerEvents({ ...shared, after: spec.last_worker_seq });
  const log = startLogTail(
    directory.log,
    (text) => attempt.redact(text),
    (message) => events.emit("log", { ...message }),
  );
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
export async function settle(parts: WorkerParts, attempt: Attempt, running: Running): Promise<Exit> {
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

/** What became of the attempt. */
export function judge(parts: WorkerParts, attempt: Attempt, running: Running, exit: Exit): Decision {
  const logTail = running.log.tail();
  return decideOutcome({
    exit,
    terminal: running.stream === null ? undefined : running.stream.terminal,
    stopReason: attempt.control.reason,
    outOfMemory: ranOutOfMemory(running.memoryKills, parts.config.MAX_MEMORY_BYTES !== undefined, logTail),
    logTail,
  });
}
