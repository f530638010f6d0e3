/**
 * Spans of the platform's own path: request, queue, attempt, trainer. OpenTelemetry is loaded only when an OTLP endpoint
 * is set (OTEL_EXPORTER_OTLP_ENDPOINT); without one a span is nothing but the traceparent that it was given.
 */
import { readTracingSettings } from "./config.ts";
import type { Logger } from "./logger.ts";

export type Attributes = Record<string, string | number | boolean | undefined>;

export interface SpanOptions {
  /** Default `internal`. Without a parent only a `server` begins a trace; any other span is left out. */
  kind?: "internal" | "server" | "client" | "producer" | "consumer";
  /** The traceparent of the span above. */
  parent?: string | undefined;
  attributes?: Attributes;
  /** When it began; default now. */
  at?: Date;
  /** 16 hex digits, for a span that others hang theirs below before it ends. */
  id?: string;
  /** For a span of somebody who sends none: the trainer's phases. */
  service?: string;
}

export interface Span {
  /** To hand on: the span's own, or its parent's while nothing is traced. Empty without either. */
  readonly traceparent: string;
  rename(name: string): void;
  set(attributes: Attributes): void;
  /** A moment within the span; default now. */
  event(name: string, attributes?: Attributes, at?: Date): void;
  /** `error`: what went wrong, in words or as it was thrown. A span that is never ended is never sent. */
  end(how?: { error?: unknown; at?: Date | undefined }): void;
}

/** What the OpenTelemetry side of this module is, once it is loaded. */
export interface SpanSource {
  startSpan(name: string, options: SpanOptions): Span | undefined;
  /** Sends what is left, for so many milliseconds at most. Never rejects. */
  stop(limitMs: number): Promise<void>;
}

let source: SpanSource | undefined;

/** Once, at a service's start. Throws ConfigError for OTEL_* settings that are not understood. */
export async function startTracing(service: string, logger: Logger): Promise<void> {
  const settings = readTracingSettings();
  if (settings === undefined || source !== undefined) return;
  const { createSpanSource } = await import("./open-telemetry.ts");
  source = createSpanSource(service, settings, logger);
  logger.info({ endpoint: settings.endpoint }, "traces are sent");
}

const STOP_LIMIT_MS = 2_000;

/** Sends what is left, for `limitMs` and 2 s at most. Never rejects. */
export async function stopTracing(limitMs = STOP_LIMIT_MS): Promise<void> {
  const stopping = source;
  source = undefined;
  await stopping?.stop(Math.max(0, Math.min(limitMs, STOP_LIMIT_MS)));
}

/** False: spans cost nothing and go nowhere; work that only serves them can be left out. */
export function isTracing(): boolean {
  return source !== undefined;
}

const ignore = () => undefined;

/** Never throws. */
export function startSpan(name: string, options: SpanOptions): Span {
  const span = source?.startSpan(name, options);
  return span ?? { traceparent: options.parent ?? "", rename: ignore, set: ignore, event: ignore, end: ignore };
}

/** Runs `work` within a span; what it rejects with is noted on the span and passed on. */
export async function inSpan<Result>(
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const span = startSpan(name, options);
  try {
    const result = await work(span);
    span.end();
    return result;
  } catch (error) {
    span.end({ error });
    throw error;
  }
}

/** For a request to another service; nothing without a traceparent. */
export function traceHeaders(traceparent: string | undefined): { headers?: { traceparent: string } } {
  return traceparent ? { headers: { traceparent } } : {};
}
