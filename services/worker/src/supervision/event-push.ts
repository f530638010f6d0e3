/** Brings numbered events to the gateway, again and again until they are there or the attempt is no longer ours. */
import { setTimeout as sleep } from "node:timers/promises";
import type { TrainerEventHead } from "@vision-platform/contracts/trainer-events";
import { type AttemptApi, isFenced, isPassing } from "../attempt-api.ts";

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 2_000;
const MAX_BATCH_EVENTS = 200;
/** Well below what the gateway takes in one request. */
const MAX_BATCH_CHARACTERS = 256 * 1024;

export interface EventPush {
  source: "trainer" | "worker";
  /** Ends the retries: rejects with the signal's reason. */
  signal: AbortSignal;
  /** The gateway's answer asked to stop the trainer. */
  onCancel: () => void;
  /** The gateway will never take this event; it is left out. */
  onRefused: (event: TrainerEventHead, reason: unknown) => void;
}

export interface SizedEvent {
  event: TrainerEventHead;
  characters: number;
}

/** Cuts a row of events into requests of bounded size; the order stays. */
export function* batches(events: readonly SizedEvent[]): Generator<TrainerEventHead[]> {
  let batch: TrainerEventHead[] = [];
  let characters = 0;
  for (const each of events) {
    if (batch.length > 0 && (batch.length >= MAX_BATCH_EVENTS || characters + each.characters > MAX_BATCH_CHARACTERS)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(each.event);
    characters += each.characters;
  }
  if (batch.length > 0) yield batch;
}

/**
 * Resolves when the gateway has every event of the batch (or has refused it for good).
 * Rejects when the attempt is fenced off, or when the signal says so.
 */
export async function pushBatch(api: AttemptApi, batch: readonly TrainerEventHead[], push: EventPush): Promise<void> {
  let left = batch;
  for (let delay = FIRST_DELAY_MS; left.length > 0; delay = Math.min(delay * 2, MAX_DELAY_MS)) {
    push.signal.throwIfAborted();
    try {
      // Explicit ids in the stream, refused events: a hole in the numbers can never fill again.
      const body = { source: push.source, allow_gap: true, events: [...left] };
      const answer = await api.push(body, push.signal);
      if (answer.cancel) push.onCancel();
      const rest = left.filter((event) => event.src_seq > answer.acked);
      if (rest.length < left.length) delay = FIRST_DELAY_MS / 2;
      left = rest;
      if (left.length > 0) await sleep(delay, undefined, { signal: push.signal });
    } catch (error) {
      if (isFenced(error) || push.signal.aborted) throw error;
      if (isPassing(error)) await sleep(delay, undefined, { signal: push.signal });
      else return await pushOneByOne(api, left, push, error);
    }
  }
}

/** The gateway found fault with the request: only the event at fault is left out. */
async function pushOneByOne(
  api: AttemptApi,
  events: readonly TrainerEventHead[],
  push: EventPush,
  reason: unknown,
): Promise<void> {
  const [only] = events;
  if (events.length === 1 && only) return push.onRefused(only, reason);
  for (const event of events) await pushBatch(api, [event], push);
}
