/** W3C trace context: one trace id from the request to the trainer's last log line. */
import { createHash, randomBytes } from "node:crypto";

export interface Trace {
  /** 32 hex digits. */
  trace_id: string;
  /** `00-<trace_id>-<span_id>-<flags>`. */
  traceparent: string;
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

export interface SpanReference {
  trace_id: string;
  span_id: string;
  /** Whoever began the trace wants its spans kept. */
  sampled: boolean;
}

/** The parts of a traceparent; undefined for one that is not valid. */
export function readTraceparent(header: string | undefined): SpanReference | undefined {
  const [, trace_id, span_id, flags] = TRACEPARENT.exec(header ?? "") ?? [];
  if (trace_id === undefined || span_id === undefined || flags === undefined) return undefined;
  return { trace_id, span_id, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function writeTraceparent({ trace_id, span_id, sampled }: SpanReference): string {
  return `00-${trace_id}-${span_id}-${sampled ? "01" : "00"}`;
}

/** Goes on with the caller's trace when its `traceparent` header is valid, else begins one, to be kept. */
export function continueTrace(header: string | undefined): Trace {
  const caller = readTraceparent(header);
  const random = randomBytes(24).toString("hex");
  const trace_id = caller?.trace_id ?? random.slice(16);
  const span = { trace_id, span_id: random.slice(0, 16), sampled: caller?.sampled ?? true };
  return { trace_id, traceparent: writeTraceparent(span) };
}

/**
 * The id of an attempt's span: 16 hex digits, the same for everybody who knows the attempt. Worker and gateway each add
 * spans below it, and whoever sees the attempt end adds the span itself, also when the worker that began it is dead.
 */
export function attemptSpanId(trace_id: string, job_id: number, attempt: number): string {
  return createHash("sha256").update(`${trace_id} ${job_id} ${attempt}`).digest("hex").slice(0, 16);
}
