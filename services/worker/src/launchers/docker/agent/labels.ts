/** The labels that tell the agent's own containers from everything else on the engine. */
import type { LaunchRequest } from "./protocol.ts";

export const INSTANCE = "vision-platform.instance";
export const MARKER = "vision-platform.marker";
const JOB = "vision-platform.job";
const ATTEMPT = "vision-platform.attempt";
const FRAMEWORK = "vision-platform.framework";
const TRACE = "vision-platform.trace";
/** Seconds that it may run. */
const MAX_RUNTIME = "vision-platform.max-runtime";

/** What the engine writes beside each line of a container's log, so that whoever collects logs knows whose line it is. */
export const LOGGED_LABELS = [JOB, ATTEMPT, FRAMEWORK, TRACE] as const;

export type Labels = Record<string, string>;

export function launchLabels(instance: string, request: LaunchRequest): Labels {
  return {
    [INSTANCE]: instance,
    [JOB]: String(request.job_id),
    [ATTEMPT]: String(request.attempt),
    [FRAMEWORK]: request.framework,
    [MARKER]: request.marker,
    [TRACE]: request.trace_id,
    [MAX_RUNTIME]: String(request.max_runtime_s),
  };
}

/** What the labels say; null for a container that is not a launch of this instance. */
export function readLabels(instance: string, labels: Labels | undefined) {
  if (labels?.[INSTANCE] !== instance || labels[JOB] === undefined) return null;
  return {
    job_id: Number(labels[JOB]),
    attempt: Number(labels[ATTEMPT]),
    framework: labels[FRAMEWORK] ?? "",
    marker: labels[MARKER] ?? "",
    max_runtime_s: Number(labels[MAX_RUNTIME]),
  };
}
