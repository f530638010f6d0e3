/** Keeps slow clients from filling this process's memory, and from slowing others. */
import type { Logger } from "@vision-platform/common/logger";
import type { Feeds } from "../feeds/feeds.ts";
import type { Reader } from "../readers/reader.ts";
import type { Connection } from "./connection.ts";

export interface BackPressureLimits {
  /** More than this waiting, and none of it taken for `patienceMs`: nothing more is pushed until all of it is. */
  stallPackets: number;
  stallBytes: number;
  patienceMs: number;
  /** More than this waiting, or nothing taken for `giveUpMs`: the connection is ended. */
  maxBytes: number;
  giveUpMs: number;
}
export const LIMITS: BackPressureLimits = {
  stallPackets: 256,
  stallBytes: 1024 ** 2,
  patienceMs: 150,
  maxBytes: 8 * 1024 ** 2,
  giveUpMs: 30_000,
};

export type Verdict = "fine" | "stall" | "resume" | "end";

/** What to do with a connection in this condition (bytes, packets; times in ms since 1970). */
export function judge(
  state: { isWritable: boolean; waitingPackets: number; waitingBytes: number; lastReady: number; stalled: boolean },
  now: number,
  limits: BackPressureLimits = LIMITS,
): Verdict {
  const quiet = state.isWritable ? 0 : now - state.lastReady;
  if (state.waitingBytes > limits.maxBytes || quiet > limits.giveUpMs) return "end";
  if (state.stalled) return state.isWritable && state.waitingPackets === 0 ? "resume" : "fine";
  const isOver = state.waitingPackets > limits.stallPackets || state.waitingBytes > limits.stallBytes;
  return isOver && quiet > limits.patienceMs ? "stall" : "fine";
}

const INTERVAL_MS = 200;

/** Looks at every connection five times a second; a look costs less than a microsecond for one that keeps up. */
export class BackPressure {
  readonly #watched = new Map<Reader, Connection>();
  readonly #timer: NodeJS.Timeout;
  #ended = 0;

  constructor(feeds: Feeds, logger: Logger, limits: BackPressureLimits = LIMITS) {
    this.#timer = setInterval(() => {
      const now = Date.now();
      for (const [reader, connection] of this.#watched) {
        if (connection.isDrained && !reader.stalled) continue;
        const verdict = judge(stateOf(reader, connection), now, limits);
        if (verdict === "stall") reader.stall(feeds.feedsOf(reader));
        if (verdict === "resume") reader.resume();
        if (verdict !== "end") continue;
        logger.warn(
          { user_id: reader.userId, waiting_bytes: connection.waitingBytes },
          "client too slow, connection ended",
        );
        this.#ended += 1;
        connection.terminate();
      }
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  watch(reader: Reader, connection: Connection): void {
    this.#watched.set(reader, connection);
  }

  forget(reader: Reader): void {
    this.#watched.delete(reader);
  }

  /** How many connections are stalled now, and how many were ended so far. */
  get figures(): { stalled: number; ended: number } {
    let stalled = 0;
    for (const reader of this.#watched.keys()) if (reader.stalled) stalled += 1;
    return { stalled, ended: this.#ended };
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function stateOf(reader: Reader, connection: Connection) {
  const { isWritable, waitingPackets, waitingBytes, lastReady } = connection;
  return { isWritable, waitingPackets, waitingBytes, lastReady, stalled: reader.stalled };
}
