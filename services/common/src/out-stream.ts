/** Reads committed events from `vp:out:<shard>` as they come. A hint, not the truth: gaps are healed from the gateway. */
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { outStreams } from "@vision-platform/contracts/names";
import type { Redis } from "ioredis";
import type { Logger } from "./logger.ts";

export interface OutStreamReader {
  /** Resolves once the reader knows from where it reads: events committed after that are seen. */
  ready: Promise<void>;
  stop(): Promise<void>;
}

const BLOCK_MS = 5_000;
const RETRY_MS = 500;

/**
 * Follows all shards over one blocking connection and hands every event to `onEvent`, in the order of each job, with the
 * moment it was appended (milliseconds since 1970, Redis' clock).
 * After Redis lost data its ids can start again below the cursor; the cursor is then set back to the stream's end.
 */
export function readOutStream(
  redis: Redis,
  logger: Logger,
  onEvent: (event: JobEvent, appended: number) => void,
): OutStreamReader {
  const streams = outStreams();
  const cursors = new Map<string, string>();
  let stopped = false;
  let markReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => (markReady = resolve));

  async function position(): Promise<void> {
    for (const stream of streams) {
      const newest = await redis.xrevrange(stream, "+", "-", "COUNT", 1);
      const end = newest[0]?.[0] ?? "0-0";
      const cursor = cursors.get(stream);
      if (cursor === undefined || isAfter(cursor, end)) cursors.set(stream, end);
    }
  }

  async function follow(): Promise<void> {
    let positioned = false;
    redis.on("close", () => (positioned = false));
    while (!stopped) {
      try {
        if (!positioned) {
          await position();
          positioned = true;
          markReady();
        }
        const ids = streams.map((stream) => cursors.get(stream) ?? "0-0");
        const answer = await redis.xread("COUNT", 500, "BLOCK", BLOCK_MS, "STREAMS", ...streams, ...ids);
        for (const [stream, entries] of answer ?? []) {
          for (const [id, fields] of entries) {
            cursors.set(stream, id);
            deliver(fields[1], id);
          }
        }
      } catch (error) {
        if (stopped) return;
        logger.warn({ err: error }, "event stream not readable, trying again");
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  function deliver(json: string | undefined, id: string): void {
    try {
      // Written by the gateway from validated rows: parsed, not validated again, 1,000 times a second.
      onEvent(JSON.parse(json ?? "") as JobEvent, Number.parseInt(id, 10));
    } catch (error) {
      logger.error({ err: error }, "unreadable entry in the event stream");
    }
  }

  const running = follow();
  return {
    ready,
    async stop() {
      stopped = true;
      redis.disconnect();
      await running;
    },
  };
}

/** Compares stream ids `<ms>-<n>`. */
function isAfter(a: string, b: string): boolean {
  const [aTime = 0, aCount = 0] = a.split("-").map(Number);
  const [bTime = 0, bCount = 0] = b.split("-").map(Number);
  return aTime !== bTime ? aTime > bTime : aCount > bCount;
}
