/** Judges a batch of one source's events: which are new, which are sound, and what they say about the job. No I/O. */
import type { JobProgress } from "@vision-platform/contracts/api/jobs";
import {
  isDurable,
  MAX_EVENT_BYTES,
  TERMINAL_EVENT_TYPES,
  TrainerEvent,
  type TrainerEventHead,
} from "@vision-platform/contracts/trainer-events";
import { z } from "zod";
import { isStorable, storable } from "./storable-json.ts";

export type Source = "trainer" | "worker";

/** An event to be stored; `src_seq` is null for what the gateway itself has to say. */
export interface Accepted {
  src: Source | "gateway";
  src_seq: number | null;
  type: string;
  ts: string;
  data: Record<string, unknown>;
}

export interface Batch {
  /** In order, without heartbeats. */
  accepted: Accepted[];
  /** The highest src_seq up to which nothing is missing any more. */
  last: number;
  resources: Record<string, unknown> | null;
  phase: string | null;
  /** What the phase waits for, in words for people. */
  waiting_reason: string | null;
  progress: JobProgress;
  metrics: Record<string, number | null>;
  /** A checkpoint was written that the next attempt can resume from. */
  resumable: boolean;
  terminal: { type: string; data: Record<string, unknown> } | null;
  /** Events of a type this gateway does not know: stored, and counted. */
  unknown: number;
}

export interface BatchContext {
  source: Source;
  /** Highest src_seq taken so far. */
  last: number;
  allow_gap: boolean;
  /** The attempt has said already how it ended. */
  ended: boolean;
  /** The task's primary metric, shown as `accuracy`. */
  primary_metric: string | undefined;
}

const KNOWN = new Set<string>(TrainerEvent.options.map((option) => option.shape.type.value));
const TERMINAL = new Set<string>(TERMINAL_EVENT_TYPES);

/**
 * Takes events in the order of src_seq: one at or below the last is a repetition, one beyond the next ends the batch,
 * or with `allow_gap` is taken after a warning that names the numbers lost.
 */
export function judgeBatch(events: readonly TrainerEventHead[], context: BatchContext): Batch {
  const batch: Batch = {
    accepted: [],
    last: context.last,
    resources: null,
    phase: null,
    waiting_reason: null,
    progress: {},
    metrics: {},
    resumable: false,
    terminal: null,
    unknown: 0,
  };
  for (const event of events.toSorted((a, b) => a.src_seq - b.src_seq)) {
    if (event.src_seq <= batch.last) continue;
    if (event.src_seq > batch.last + 1) {
      if (!context.allow_gap) break;
      batch.accepted.push(lost(batch.last + 1, event));
    }
    batch.last = event.src_seq;
    take(batch, event, context);
  }
  return batch;
}

function take(batch: Batch, event: TrainerEventHead, context: BatchContext): void {
  const reason = flaw(event, context, batch);
  const { src_seq, ts } = event;
  if (reason !== undefined) {
    const data = storable({ code: "invalid_event", message: reason.slice(0, 2000), event_type: event.type });
    batch.accepted.push({ src: context.source, src_seq, type: "warning", ts, data });
    return;
  }
  const data = storable(event.data);
  if (!KNOWN.has(event.type)) batch.unknown += 1;
  if (isDurable(event.type)) batch.accepted.push({ src: context.source, src_seq, type: event.type, ts, data });
  learn(batch, { type: event.type, data } as TrainerEvent, context.primary_metric);
}

/** Why an event cannot be taken as what it says it is; undefined when it is sound. */
function flaw(event: TrainerEventHead, context: BatchContext, batch: Batch): string | undefined {
  if (!isStorable(event.data)) return "its data is nested too deeply";
  const bytes = Buffer.byteLength(JSON.stringify(event));
  if (bytes > MAX_EVENT_BYTES) return `an event of ${bytes} bytes; at most ${MAX_EVENT_BYTES} are allowed`;
  if (!KNOWN.has(event.type)) return undefined;
  const parsed = TrainerEvent.safeParse(event);
  if (!parsed.success) return z.prettifyError(parsed.error);
  if (!TERMINAL.has(event.type)) return undefined;
  if (context.source !== "trainer") return "only the trainer says how its run ended";
  return context.ended || batch.terminal !== null ? "the attempt has said already how it ended" : undefined;
}

/** What a sound event changes on the job's and the attempt's row. */
function learn(batch: Batch, event: TrainerEvent, primaryMetric: string | undefined): void {
  switch (event.type) {
    case "heartbeat":
      batch.resources = event.data;
      break;
    case "phase":
      batch.phase = event.data.name;
      batch.waiting_reason = event.data.detail ?? null;
      break;
    case "progress": {
      const { epoch, epochs, step, steps, pct, eta_s, samples_per_s } = event.data;
      Object.assign(batch.progress, { epoch, epochs, step, steps, pct, eta_s, samples_per_s });
      break;
    }
    case "metrics":
      if (event.data.scope === "epoch") Object.assign(batch.metrics, event.data.values);
      Object.assign(batch.progress, headline(event.data.values, primaryMetric));
      break;
    case "checkpoint":
      if (event.data.kind === "last") batch.resumable = true;
      break;
    case "stopped":
      if (event.data.resume_uri !== null) batch.resumable = true;
      batch.terminal = { type: event.type, data: event.data };
      break;
    case "succeeded":
    case "failed":
      batch.terminal = { type: event.type, data: event.data };
      break;
  }
}

function headline(values: Record<string, number | null>, primaryMetric: string | undefined): JobProgress {
  const loss = values["train/loss"];
  const accuracy = primaryMetric === undefined ? undefined : values[primaryMetric];
  return { ...(loss === undefined ? {} : { loss }), ...(accuracy === undefined ? {} : { accuracy }) };
}

function lost(from: number, next: TrainerEventHead): Accepted {
  const to = next.src_seq - 1;
  const message = `events ${from} to ${to} never arrived`;
  return {
    src: "gateway",
    src_seq: null,
    type: "warning",
    ts: next.ts,
    data: { code: "events_lost", message, from, to },
  };
}
