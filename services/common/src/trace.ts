/** W3C trace context: one trace id from the request to the trainer's last log line. */
import { randomBytes } from "node:crypto";

export interface Trace {
  /** 32 hex digits. */
  trace_id: string;
  /** `00-<trace_id>-<span_id>-01`. */
  traceparent: string;
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Goes on with the caller's trace when its `traceparent` header is valid, else begins one. */
export function continueTrace(header: string | undefined): Trace {
  const traceId = header === undefined ? undefined : TRACEPARENT.exec(header)?.[1];
  const random = randomBytes(24).toString("hex");
  const trace_id = traceId ?? random.slice(16);
  return { trace_id, traceparent: `00-${trace_id}-${random.slice(0, 16)}-01` };
}
