/** The worker's own events about an attempt (log lines, warnings): numbered when sent, sent one request at a time. */
import type { Logger } from "@vision-platform/common/logger";
import type { TrainerEventHead } from "@vision-platform/contracts/trainer-events";
import type { AttemptApi } from "../attempt-api.ts";
import { batches, pushBatch } from "./event-push.ts";

/** While the gateway is away this many wait; beyond it the oldest are given up before they get a number. */
const MAX_WAITING = 2_000;

interface Waiting {
  type: string;
  ts: string;
  data: Record<string, unknown>;
}

export interface WorkerEvents {
  emit(type: "log" | "warning" | "phase", data: Record<string, unknown>): void;
  /** Resolves when everything has arrived, after `limitMs`, or when `hurry` says so. Never rejects. */
  finish(limitMs: number, hurry: AbortSignal): Promise<void>;
}

export interface WorkerEventsOptions {
  api: AttemptApi;
  /** The highest number that the gateway has already. */
  after: number;
  signal: AbortSignal;
  onCancel: () => void;
  logger: Logger;
}

export function createWorkerEvents({ api, after, signal, onCancel, logger }: WorkerEventsOptions): WorkerEvents {
  const stop = new AbortController();
  let waiting: Waiting[] = [];
  let src_seq = after;
  let pumping: Promise<void> | undefined;

  const push = {
    source: "worker" as const,
    signal: AbortSignal.any([signal, stop.signal]),
    onCancel,
    onRefused: (event: TrainerEventHead, reason: unknown) =>
      logger.warn({ err: reason, type: event.type }, "event refused"),
  };

  async function pump(): Promise<void> {
    while (waiting.length > 0) {
      const taken = waiting;
      waiting = [];
      const events = taken.map((each) => {
        src_seq += 1;
        return { event: { v: 1 as const, src_seq, ...each }, characters: JSON.stringify(each.data).length };
      });
      for (const batch of batches(events)) await pushBatch(api, batch, push);
    }
  }

  function start(): void {
    pumping ??= pump()
      .catch((error: unknown) => {
        if (!push.signal.aborted) logger.warn({ err: error }, "events of the worker are no longer sent");
        stop.abort();
      })
      .finally(() => {
        pumping = undefined;
      });
  }

  return {
    emit(type, data) {
      if (push.signal.aborted) return;
      waiting.push({ type, ts: new Date().toISOString(), data });
      if (waiting.length > MAX_WAITING) waiting.shift();
      start();
    },
    async finish(limitMs, hurry) {
      const giveUp = () => stop.abort();
      hurry.addEventListener("abort", giveUp, { once: true });
      if (hurry.aborted) giveUp();
      const limit = setTimeout(giveUp, limitMs);
      await pumping;
      clearTimeout(limit);
      hurry.removeEventListener("abort", giveUp);
      stop.abort();
    },
  };
}
