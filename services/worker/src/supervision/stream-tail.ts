/** Follows the stream of one attempt and brings its events to the gateway as they come. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@vision-platform/common/logger";
import type { LastWord } from "@vision-platform/contracts/last-word";
import { MAX_EVENT_BYTES, TERMINAL_EVENT_TYPES, TrainerEventHead } from "@vision-platform/contracts/trainer-events";
import type { Redis } from "ioredis";
import type { AttemptApi } from "../attempt-api.ts";
import { batches, type EventPush, pushBatch, type SizedEvent } from "./event-push.ts";

const READ_COUNT = 200;
/** How long a read waits for the first event. Short, so that the end of an attempt is noticed soon. */
const BLOCK_MS = 200;
/** At most so long events gather after a request, so that the next one carries more of them. */
const MAX_GATHER_MS = 40;
/** After the trainer's end a Redis that is away is waited for as long as this: what lies in it may come back. */
const REDIS_AWAY_LIMIT_MS = 60_000;

type Entry = [id: string, fields: string[]];

export interface StreamTailOptions {
  stream: string;
  /** The highest src_seq that the gateway has already. */
  after: number;
  /**
   * A connection of this attempt's own: a read blocks it, and one read over many streams costs Redis more. Its commands
   * must time out, so that a connection that died in silence is noticed.
   */
  blocking: Redis;
  /** Frees what the gateway has. */
  command: Redis;
  api: AttemptApi;
  signal: AbortSignal;
  onCancel: () => void;
  /** Each time that events have been brought to the gateway. */
  onForwarded: (events: number) => void;
  logger: Logger;
}

export interface StreamTail {
  /** The terminal event, once it was read. */
  readonly terminal: LastWord | null;
  /** Entries that were no events. */
  readonly unreadable: number;
  /** The trainer has ended: resolves when what is in the stream has arrived, after `limitMs`, or when `hurry` says so. Never rejects. */
  finish(limitMs: number, hurry: AbortSignal): Promise<void>;
  /** Stops at once: whoever listens next goes on after what the gateway has. Never rejects. */
  leave(): Promise<void>;
}

function isTerminal(event: TrainerEventHead): boolean {
  return (TERMINAL_EVENT_TYPES as readonly string[]).includes(event.type);
}

/** An entry as the contract wants it; null when it is none. The entry's id is the number, whatever the text says. */
export function readEntry([id, fields]: Entry): SizedEvent | null {
  const text = fields[fields.indexOf("e") + 1];
  const src_seq = Number(id.split("-")[0]);
  if (fields[0] !== "e" || text === undefined || Buffer.byteLength(text) > MAX_EVENT_BYTES) return null;
  try {
    const parsed = TrainerEventHead.safeParse({ ...JSON.parse(text), src_seq });
    return parsed.success ? { event: parsed.data, characters: text.length } : null;
  } catch {
    return null;
  }
}

async function readNext({ blocking, stream }: StreamTailOptions, cursor: number): Promise<Entry[]> {
  const reply = await blocking.xread("COUNT", READ_COUNT, "BLOCK", BLOCK_MS, "STREAMS", stream, `${cursor}-0`);
  return (reply?.[0]?.[1] ?? []) as Entry[];
}

/** Starts at once. Whatever piles up while one request is under way travels in the next. */
export function startStreamTail(options: StreamTailOptions): StreamTail {
  const { api, logger, stream, command } = options;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  let terminal: LastWord | null = null;
  let unreadable = 0;
  let cursor = options.after;
  let endedAt: number | null = null;
  let gather = 0;

  const push: EventPush = {
    source: "trainer",
    signal,
    onCancel: options.onCancel,
    onRefused: (event, reason) =>
      logger.warn({ err: reason, src_seq: event.src_seq, type: event.type }, "event refused"),
  };

  async function forward(entries: Entry[]): Promise<void> {
    const events = entries.map(readEntry).filter((event) => event !== null);
    unreadable += entries.length - events.length;
    for (const { event } of events) {
      if (isTerminal(event)) terminal ??= { type: event.type as LastWord["type"], data: event.data };
    }
    const began = performance.now();
    for (const batch of batches(events)) await pushBatch(api, batch, push);
    gather = Math.min(2 * (performance.now() - began), MAX_GATHER_MS);
    options.onForwarded(events.length);
    cursor = Number(entries.at(-1)?.[0].split("-")[0] ?? cursor);
    // Also makes room; a repeat of what was trimmed is still refused, because the stream remembers its last id.
    command.xtrim(stream, "MINID", `${cursor + 1}-0`).catch(() => undefined);
  }

  /** What can be read now; null when Redis is away. */
  async function read(): Promise<Entry[] | null> {
    try {
      return await readNext(options, cursor);
    } catch (error) {
      logger.debug({ err: error }, "stream not readable");
      if (/timed out/i.test(String(error))) options.blocking.disconnect(true);
      await sleep(BLOCK_MS);
      return null;
    }
  }

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      const last = endedAt !== null;
      const entries = await read();
      if (entries !== null && entries.length > 0) await forward(entries);
      else if (entries !== null && last) return;
      // Nothing may follow the terminal event.
      if (terminal !== null) return;
      if (endedAt !== null && Date.now() - endedAt > REDIS_AWAY_LIMIT_MS) return;
      // The slower the gateway answers, the fewer requests it gets: a flood travels in batches, a lone event at once.
      if (entries !== null && entries.length > 0 && !last) await sleep(gather, undefined, { signal });
    }
  }

  const following = follow().catch((error: unknown) => {
    if (!signal.aborted) logger.warn({ err: error }, "events are no longer forwarded");
  });

  return {
    get terminal() {
      return terminal;
    },
    get unreadable() {
      return unreadable;
    },
    async leave() {
      stop.abort();
      await following;
      options.blocking.disconnect();
    },
    async finish(limitMs, hurry) {
      const giveUp = () => stop.abort();
      hurry.addEventListener("abort", giveUp, { once: true });
      if (hurry.aborted) giveUp();
      endedAt = Date.now();
      const limit = setTimeout(giveUp, limitMs);
      await following;
      clearTimeout(limit);
      hurry.removeEventListener("abort", giveUp);
      options.blocking.disconnect();
    },
  };
}
