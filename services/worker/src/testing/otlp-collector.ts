/** A collector of OpenTelemetry's traces for tests: OTLP over HTTP, as JSON. */
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import { listen } from "@vision-platform/common/lifecycle";

export interface CollectedSpan {
  /** Of the service that sent it; phases of trainers come under `trainer`. */
  service: string;
  name: string;
  trace_id: string;
  span_id: string;
  /** Empty for the first of a trace. */
  parent_id: string;
  /** Milliseconds since 1970. */
  from: number;
  to: number;
  failed: boolean;
  attributes: Record<string, unknown>;
}

export interface OtlpCollector {
  url: string;
  spans: CollectedSpan[];
  stop(): Promise<void>;
}

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: number | string; doubleValue?: number; boolValue?: boolean };
}
interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  status?: { code?: number };
  attributes?: Attribute[];
}
interface OtlpRequest {
  resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: OtlpSpan[] }[] }[];
}

function record(attributes: readonly Attribute[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

function collected(request: OtlpRequest): CollectedSpan[] {
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(record(resource.attributes)["service.name"]);
    const spans = scopeSpans.flatMap((scope) => scope.spans);
    return spans.map((span) => ({
      ...{ service, name: span.name, trace_id: span.traceId, span_id: span.spanId },
      parent_id: span.parentSpanId ?? "",
      from: Number(BigInt(span.startTimeUnixNano) / 1_000_000n),
      to: Number(BigInt(span.endTimeUnixNano) / 1_000_000n),
      failed: span.status?.code === 2,
      attributes: record(span.attributes),
    }));
  });
}

/** Listens on a free port of this machine. Stop it in `afterAll`. */
export async function startOtlpCollector(): Promise<OtlpCollector> {
  const spans: CollectedSpan[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const text = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
    if (request.url === "/v1/traces") spans.push(...collected(JSON.parse(text.toString()) as OtlpRequest));
    response.writeHead(request.url === "/v1/traces" ? 200 : 404, { "content-type": "application/json" }).end("{}");
  });
  const port = await listen(server, 0, "127.0.0.1");
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
