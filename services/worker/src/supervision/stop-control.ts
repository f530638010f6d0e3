/** Ends a trainer, politely or at once, whoever asks first. */
import type { Logger } from "@vision-platform/common/logger";
import type { StopReason } from "@vision-platform/contracts/last-word";
import type { Launcher, Trainer } from "../launchers/launcher.ts";
import { type AttemptDirectory, writeStopReason } from "./attempt-directory.ts";

export interface StopControl {
  /** Why the trainer was asked to stop; the first reason stays. */
  readonly reason: StopReason | null;
  /** Aborted once the attempt is no longer ours. */
  readonly lost: AbortSignal;
  /** Aborted once the trainer is no longer wanted, for whatever reason: it need not be started any more. */
  readonly unwanted: AbortSignal;
  /** Aborted once the trainer goes on without this worker: released, or lost to whoever adopts it. */
  readonly left: AbortSignal;
  /** From now on there is a trainer; what was asked before is done at once. */
  attach(trainer: Trainer): void;
  /** Asks the trainer to save and end within `graceMs`, then kills it. Asked again, only the shorter grace counts. */
  request(reason: StopReason, graceMs: number): void;
  /** The attempt belongs to somebody else: write nothing more. A trainer that cannot outlive its worker is killed at once. */
  abandon(): void;
  /** The worker ends: a trainer that runs goes on without it, one that does not yet run is given up. */
  leave(): void;
  /** The trainer has ended: no more signals. */
  release(): void;
}

/** `runs`: the trainer was launched by another worker, and is attached once it is found. */
export function createStopControl(
  directory: AttemptDirectory,
  launcher: Launcher,
  logger: Logger,
  runs = false,
): StopControl {
  const lost = new AbortController();
  const unwanted = new AbortController();
  const left = new AbortController();
  let reason: StopReason | null = null;
  let deadline = Number.POSITIVE_INFINITY;
  let trainer: Trainer | undefined;
  let over = false;
  let timer: NodeJS.Timeout | undefined;

  const failed = (error: unknown) => logger.warn({ err: error }, "the trainer was not signalled");

  function kill(): void {
    if (trainer) launcher.stop(trainer, "SIGKILL").catch(failed);
  }

  function killAt(time: number): void {
    deadline = time;
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        logger.warn({ reason }, "the trainer did not end within its grace: killed");
        kill();
      },
      Math.max(0, deadline - Date.now()),
    );
  }

  function ask(): void {
    if (!trainer || reason === null) return;
    try {
      writeStopReason(directory, reason);
    } catch (error) {
      // A full disk must not keep the trainer from being stopped.
      failed(error);
    }
    launcher.stop(trainer, "SIGTERM").catch(failed);
  }

  return {
    get reason() {
      return reason;
    },
    lost: lost.signal,
    unwanted: unwanted.signal,
    left: left.signal,
    attach(started) {
      trainer = started;
      if (!lost.signal.aborted) ask();
      else if (!launcher.outlivesWorker) kill();
    },
    request(why, graceMs) {
      if (lost.signal.aborted) return;
      if (reason === null) {
        reason = why;
        unwanted.abort();
        logger.info({ reason }, "the trainer is asked to stop");
        ask();
      }
      // A trainer that is asked twice would take the second signal for "at once".
      if (Date.now() + graceMs < deadline) killAt(Date.now() + graceMs);
    },
    abandon() {
      if (lost.signal.aborted) return;
      logger.warn("the attempt is no longer ours");
      lost.abort();
      unwanted.abort();
      if (launcher.outlivesWorker) left.abort();
      else kill();
    },
    leave() {
      if (trainer !== undefined || runs) left.abort();
      else if (!over) this.request("preempted", 0);
    },
    release() {
      clearTimeout(timer);
      over = true;
      trainer = undefined;
    },
  };
}
