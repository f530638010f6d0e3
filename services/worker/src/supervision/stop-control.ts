/** Ends a trainer, politely or at once, whoever asks first. */
import type { Logger } from "@vision-platform/common/logger";
import type { Launcher, Trainer } from "../launchers/launcher.ts";
import { type AttemptDirectory, type StopReason, writeStopReason } from "./attempt-directory.ts";

export interface StopControl {
  /** Why the trainer was asked to stop; the first reason stays. */
  readonly reason: StopReason | null;
  /** Aborted once the attempt is no longer ours. */
  readonly lost: AbortSignal;
  /** From now on there is a trainer; what was asked before is done at once. */
  attach(trainer: Trainer): void;
  /** Asks the trainer to save and end within `graceMs`, then kills it. Asked again, only the shorter grace counts. */
  request(reason: StopReason, graceMs: number): void;
  /** The attempt belongs to somebody else: kill at once, write nothing more. */
  abandon(): void;
  /** The trainer has ended: no more signals. */
  release(): void;
}

export function createStopControl(directory: AttemptDirectory, launcher: Launcher, logger: Logger): StopControl {
  const lost = new AbortController();
  let reason: StopReason | null = null;
  let deadline = Number.POSITIVE_INFINITY;
  let trainer: Trainer | undefined;
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
    attach(started) {
      trainer = started;
      if (lost.signal.aborted) kill();
      else ask();
    },
    request(why, graceMs) {
      if (lost.signal.aborted) return;
      if (reason === null) {
        reason = why;
        logger.info({ reason }, "the trainer is asked to stop");
        ask();
      }
      // A trainer that is asked twice would take the second signal for "at once".
      if (Date.now() + graceMs < deadline) killAt(Date.now() + graceMs);
    },
    abandon() {
      if (lost.signal.aborted) return;
      logger.warn("the attempt is no longer ours: the trainer is killed");
      lost.abort();
      kill();
    },
    release() {
      clearTimeout(timer);
      trainer = undefined;
    },
  };
}
