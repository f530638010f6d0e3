/** The OpenTelemetry side of tracing.ts, loaded only where an OTLP endpoint is set. Sends OTLP over HTTP as JSON. */
import { randomUUID } from "node:crypto";
import {
  type Span as OpenTelemetrySpan,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import {
  detectResources,
  type Resource,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { TracingSettings } from "./config.ts";
import type { Logger } from "./logger.ts";
import { readTraceparent, writeTraceparent } from "./trace.ts";
import type { Span, SpanOptions, SpanSource } from "./tracing.ts";
import { PLATFORM_VERSION } from "./version.ts";

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

/** Random ids, but for the span that is to have a certain one. */
class Ids extends RandomIdGenerator {
  #next: string | undefined;

  /** The id of every span that `start` starts. */
  withId<Result>(id: string | undefined, start: () => Result): Result {
    this.#next = id;
    try {
      return start();
    } finally {
      this.#next = undefined;
    }
  }

  override generateSpanId(): string {
    return this.#next ?? super.generateSpanId();
  }
}

function samplerOf({ sampler, ratio }: TracingSettings): Sampler {
  const [, parentBased, name] = /^(parentbased_)?(.+)$/.exec(sampler) ?? [];
  const root =
    name === "always_off"
      ? new AlwaysOffSampler()
      : name === "traceidratio"
        ? new TraceIdRatioBasedSampler(ratio)
        : new AlwaysOnSampler();
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

/** A collector that is away is one line when it goes and one when it is back; its spans are lost. */
function quiet(exporter: SpanExporter, logger: Logger): SpanExporter {
  let failing = false;
  return {
    export(spans, done) {
      exporter.export(spans, ({ code, error }) => {
        const failed = code !== 0;
        if (failed && !failing) logger.warn({ err: error }, "traces cannot be sent; the platform works on without");
        if (!failed && failing) logger.info("traces are sent again");
        failing = failed;
        done({ code: 0 });
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => await exporter.forceFlush?.(),
  };
}

function parentContext(parent: string | undefined) {
  const caller = readTraceparent(parent);
  if (caller === undefined) return undefined;
  const { trace_id: traceId, span_id: spanId, sampled } = caller;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function traceparentOf({ traceId: trace_id, spanId: span_id, traceFlags }: SpanContext): string {
  return writeTraceparent({ trace_id, span_id, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function wrap(span: OpenTelemetrySpan): Span {
  return {
    traceparent: traceparentOf(span.spanContext()),
    rename: (name) => void span.updateName(name),
    set: (attributes) => void span.setAttributes(attributes),
    event: (name, attributes = {}, at) => void span.addEvent(name, attributes, at),
    end({ error, at } = {}) {
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
      span.end(at);
    },
  };
}

/** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES add to what the service says of itself, and win over it. */
function resourceOf(service: string): Resource {
  const own = resourceFromAttributes({
    "service.name": service,
    "service.namespace": "vision-platform",
    "service.version": PLATFORM_VERSION,
    "service.instance.id": randomUUID(),
  });
  return own.merge(detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }));
}

/** Starts at once; nothing is asked of the collector before the first span ends. */
export function createSpanSource(service: string, settings: TracingSettings, logger: Logger): SpanSource {
  // Reads endpoint, headers, time-out, compression and certificates from the standard OTEL_EXPORTER_OTLP_* variables.
  const exporter = quiet(new OTLPTraceExporter(), logger);
  const { schedule_ms: scheduledDelayMillis, queue: maxQueueSize } = settings;
  const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis, maxQueueSize });
  const idGenerator = new Ids();
  const shared = { sampler: samplerOf(settings), idGenerator, spanProcessors: [processor] };
  const own = resourceOf(service);
  const tracers = new Map<string, Tracer>();

  function tracerOf(name: string): Tracer {
    const known = tracers.get(name);
    if (known) return known;
    const resource = name === service ? own : own.merge(resourceFromAttributes({ "service.name": name }));
    const tracer = new TracerProvider({ ...shared, resource }).getTracer("vision-platform", PLATFORM_VERSION);
    tracers.set(name, tracer);
    return tracer;
  }

  return {
    startSpan(name, options: SpanOptions) {
      const { kind = "internal", attributes = {}, at, id } = options;
      const parent = parentContext(options.parent);
      if (parent === undefined && kind !== "server") return undefined;
      const start = { kind: KINDS[kind], attributes, ...(at === undefined ? {} : { startTime: at }) };
      const tracer = tracerOf(options.service ?? service);
      return wrap(idGenerator.withId(id, () => tracer.startSpan(name, start, parent ?? ROOT_CONTEXT)));
    },
    async stop(limitMs) {
      const limit = new Promise<void>((resolve) => setTimeout(resolve, limitMs).unref());
      await Promise.race([processor.shutdown().catch(() => undefined), limit]);
    },
  };
}
