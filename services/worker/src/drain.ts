/** How a worker that is stopped divides the seconds between SIGTERM and the host's SIGKILL. */
import { setTimeout as sleep } from "node:timers/promises";
import type { WorkerConfig } from "./config.ts";

/** The last second belongs to the end of the process. */
const EXIT_MS = 1_000;
/** From here on nothing is waited for any more. */
const OUT_OF_TIME_MS = 1_600;
/** For the end of an attempt after its trainer's: the log, the outcome. */
const REPORT_MS = 3_000;

export interface DrainPlan {
  /** Trainings go on for so long: whatever ends by itself needs no second attempt. */
  finishMs: number;
  /** After that a trainer has so long to save and end. */
  graceMs: number;
  /** From the signal on, in all. */
  outOfTimeMs: number;
  exitMs: number;
}

/** With the ten seconds that most hosts give, nothing is left for trainings to go on. */
export function drainPlan({ DRAIN_S, DRAIN_GRACE_S }: Pick<WorkerConfig, "DRAIN_S" | "DRAIN_GRACE_S">): DrainPlan {
  const all = DRAIN_S * 1000;
  const graceMs = Math.min(DRAIN_GRACE_S * 1000, all - REPORT_MS);
  return { finishMs: all - REPORT_MS - graceMs, graceMs, outOfTimeMs: all - OUT_OF_TIME_MS, exitMs: all - EXIT_MS };
}

/** Resolves when `done` does, or after so many milliseconds; never rejects. */
export async function upTo(milliseconds: number, done: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const over = sleep(milliseconds, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([done.catch(() => undefined), over]);
  timer.abort();
}
