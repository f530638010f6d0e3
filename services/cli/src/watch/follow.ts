/** One reader of a job's events: each once and in order, over whichever way is open, however often ways break. */
import { setTimeout as sleep } from "node:timers/promises";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { Cursor } from "./cursor.ts";
import { type EventSource, SourceRefused } from "./event-source.ts";

export interface FollowOptions {
  jobId: number;
  /** Events after this one are wanted. */
  after: number;
  /** Tried in this order; the first again whenever a connection that was open has ended. */
  sources: EventSource[];
  /** Return true to stop: the last event wanted. */
  onEvent(event: JobEvent): boolean;
  /** The connection was lost and is tried again, or is there again. Told once each. */
  onLink(link: "reconnecting" | "connected"): void;
  signal: AbortSignal;
  /** Milliseconds before the n-th try since anything worked. */
  pause?(attempt: number): number;
}

const MAX_PAUSE_MS = 5_000;

/** 0.25 s, 0.5 s, 1 s … 5 s, each scattered by half, so that many watchers do not come back in one moment. */
function backOff(attempt: number): number {
  return Math.min(MAX_PAUSE_MS, 250 * 2 ** attempt) * (0.75 + Math.random() / 2);
}

/**
 * Resolves with the number of the last event when `onEvent` has seen enough or `signal` stops it.
 * Rejects with SourceRefused when every source refuses.
 */
export async function follow(options: FollowOptions): Promise<number> {
  const { sources, signal, pause = backOff } = options;
  const cursor = new Cursor(options.after);
  let failures = 0;
  let next = 0;
  let isLost = false;
  let refused: SourceRefused | undefined;
  while (!signal.aborted) {
    const source = sources[next % sources.length] as EventSource;
    const result = await runOnce(source, cursor, options, () => {
      if (isLost) options.onLink("connected");
      isLost = false;
    });
    if (result.isDone || signal.aborted) break;
    if (result.error instanceof SourceRefused) {
      // One way may not know the job or the token that another does; two refusals are an answer.
      if (refused !== undefined || sources.length === 1) throw result.error;
      refused = result.error;
    }
    next = result.wasOpen ? 0 : next + 1;
    if (result.wasOpen) failures = 0;
    // Another way may be open: no waiting, and no word, before each has been tried.
    if (!result.wasOpen && next % sources.length !== 0) continue;
    // A connection that comes back at once (a token was renewed, a service restarted) is not worth a word.
    if (!result.wasOpen) {
      if (!isLost) options.onLink("reconnecting");
      isLost = true;
    }
    await sleep(pause(failures), undefined, { signal }).catch(() => undefined);
    failures += 1;
  }
  return cursor.last;
}

interface RunResult {
  isDone: boolean;
  wasOpen: boolean;
  error?: unknown;
}

async function runOnce(
  source: EventSource,
  cursor: Cursor,
  options: FollowOptions,
  onOpen: () => void,
): Promise<RunResult> {
  const stop = new AbortController();
  const result: RunResult = { isDone: false, wasOpen: false };
  try {
    await source.run({
      jobId: options.jobId,
      after: cursor.last,
      signal: AbortSignal.any([options.signal, stop.signal]),
      onOpen() {
        result.wasOpen = true;
        onOpen();
      },
      onEvent(event) {
        if (stop.signal.aborted) return;
        const verdict = cursor.take(event.seq);
        // From the cursor again: the source begins there.
        if (verdict === "gap") return stop.abort();
        if (verdict === "known" || !options.onEvent(event)) return;
        result.isDone = true;
        stop.abort();
      },
    });
  } catch (error) {
    result.error = error;
  }
  return result;
}
