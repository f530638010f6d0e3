/** The span of an attempt on this worker; claim, launch, run and finish hang below it, and so does what the gateway adds. */
import { attemptSpanId, readTraceparent } from "@vision-platform/common/trace";
import { type Span, startSpan } from "@vision-platform/common/tracing";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import type { JobKind } from "@vision-platform/contracts/job-state";
import type { Decision } from "@vision-platform/contracts/last-word";
import { queueName } from "@vision-platform/contracts/names";

/** What the queue said of an attempt when it was taken. */
export interface Taken {
  /** Of the gateway's span that put it into the queue. */
  traceparent?: string | undefined;
  at?: Date;
}

/**
 * Its id is the same on every worker that ever has this attempt: one that takes it over goes on with the same span. Who
 * sees the attempt end sends it; a span of a worker that died or let go is never sent.
 */
export function startAttemptSpan(spec: AttemptSpec, workerId: string, { traceparent, at }: Taken): Span {
  return spanOf(spec, workerId, traceparent ?? spec.traceparent, at);
}

/** Of an attempt whose worker died after the trainer had said its last word. */
export function startOrphanSpan(
  orphan: { job_id: number; attempt: number; framework: string; traceparent?: string | undefined },
  workerId: string,
): Span {
  return spanOf(orphan, workerId, orphan.traceparent ?? "");
}

function spanOf(
  of: { job_id: number; attempt: number; framework: string; kind?: JobKind },
  workerId: string,
  parent: string,
  at?: Date,
): Span {
  const { job_id, attempt, framework, kind } = of;
  const trace_id = readTraceparent(parent)?.trace_id ?? "";
  return startSpan(`attempt ${framework}`, {
    kind: "consumer",
    parent,
    id: attemptSpanId(trace_id, job_id, attempt),
    ...(at === undefined ? {} : { at }),
    attributes: {
      "messaging.system": "bullmq",
      "messaging.operation.name": "process",
      "messaging.destination.name": queueName(framework),
      "vision_platform.job_id": job_id,
      "vision_platform.attempt": attempt,
      "vision_platform.kind": kind,
      "vision_platform.framework": framework,
      "vision_platform.worker_id": workerId,
    },
  });
}

/** A lost attempt's span is the gateway's to send: it hears of every one, also of those whose worker is dead. */
export function endAttemptSpan(span: Span, { outcome, failure }: Decision): void {
  if (outcome === "lost") return;
  span.set({ "vision_platform.outcome": outcome, "vision_platform.failure_code": failure?.code });
  span.end(failure === undefined ? {} : { error: `${failure.code}: ${failure.message}` });
}
