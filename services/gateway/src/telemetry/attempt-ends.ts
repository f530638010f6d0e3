/** Whenever an attempt is over, whoever said so: it is counted, and what its trainer did becomes spans. */
import type { Logger } from "@vision-platform/common/logger";
import { attemptSpanId, readTraceparent, writeTraceparent } from "@vision-platform/common/trace";
import { isTracing, startSpan } from "@vision-platform/common/tracing";
import { FailureCode } from "@vision-platform/contracts/failure-codes";
import type { AttemptEventData, JobEvent } from "@vision-platform/contracts/job-events";
import { ATTEMPT_OUTCOMES } from "@vision-platform/contracts/job-state";
import { Counter, type Registry } from "prom-client";
import type { Db } from "../db/db.ts";
import { findTracedAttempt, type TracedAttempt, trainerMilestones } from "./trainer-spans.repository.ts";
import { type DerivedSpan, deriveTrainerSpans } from "./trainer-spans.ts";

const USUAL_CODES: Partial<Record<(typeof ATTEMPT_OUTCOMES)[number], FailureCode>> = {
  lost: "WORKER_LOST",
  preempted: "PREEMPTED",
  interrupted: "PREEMPTED",
};

export interface AttemptEnds {
  /** Looks for ends among committed events. Returns at once and never throws. */
  note(events: readonly JobEvent[]): void;
}

function send(derived: DerivedSpan, parent: string): void {
  const { name, from, to, attributes, moments, error } = derived;
  const span = startSpan(name, { parent, at: from, attributes, service: "trainer" });
  for (const moment of moments) span.event(moment.name, moment.attributes, moment.at);
  for (const child of derived.children) send(child, span.traceparent);
  span.end({ error, at: to });
}

/** The worker adds the span of an attempt that it saw end; that of one whose worker was lost is nobody's but ours. */
function sendUnseen(found: TracedAttempt, event: JobEvent, id: string, ended: Date): void {
  const span = startSpan(`attempt ${found.framework}`, {
    kind: "consumer",
    parent: found.traceparent,
    id,
    at: found.claimed_at ?? ended,
    attributes: { "vision_platform.job_id": event.job_id, "vision_platform.attempt": event.attempt },
  });
  const { outcome, failure } = event.data as Partial<AttemptEventData>;
  span.set({ "vision_platform.outcome": outcome, "vision_platform.failure_code": failure?.code });
  span.end({ error: failure && `${failure.code}: ${failure.message}`, at: ended });
}

async function sendSpans(db: Db, event: JobEvent): Promise<void> {
  const { job_id, attempt } = event;
  const found = await findTracedAttempt(db, job_id, attempt);
  const trace = readTraceparent(found?.traceparent);
  if (found === undefined || trace === undefined) return;
  const span_id = attemptSpanId(trace.trace_id, job_id, attempt);
  const ended = new Date(event.ts);
  if (event.data.worker_lost === true) sendUnseen(found, event, span_id, ended);
  const trainer = deriveTrainerSpans(await trainerMilestones(db, job_id, attempt), ended);
  if (trainer === undefined) return;
  const about = { "vision_platform.job_id": job_id, "vision_platform.attempt": attempt };
  const attributes = { ...trainer.attributes, ...about, "vision_platform.framework": found.framework };
  send({ ...trainer, attributes }, writeTraceparent({ ...trace, span_id }));
}

/** Counter `vision_platform_attempts_ended_total{outcome,code}`; spans only while traces are wanted. */
export function createAttemptEnds(db: Db, registry: Registry, logger: Logger): AttemptEnds {
  const ended = new Counter({
    name: "vision_platform_attempts_ended_total",
    help: "Attempts that are over, by outcome and failure code (empty without a failure)",
    labelNames: ["outcome", "code"],
    registers: [registry],
  });
  // What has not been seen yet must be told as 0: Prometheus takes a series that begins at 1 for no increase.
  for (const outcome of ATTEMPT_OUTCOMES) ended.inc({ outcome, code: USUAL_CODES[outcome] ?? "" }, 0);
  for (const code of FailureCode.options) ended.inc({ outcome: "failed", code }, 0);
  return {
    note(events) {
      for (const event of events) {
        const data = event.data as Partial<AttemptEventData>;
        if (event.type !== "attempt" || data.status !== "ended") continue;
        ended.inc({ outcome: data.outcome ?? "", code: data.failure?.code ?? "" });
        if (!isTracing()) continue;
        sendSpans(db, event).catch((error: unknown) =>
          logger.debug({ err: error, job_id: event.job_id }, "no spans of the trainer"),
        );
      }
    },
  };
}
