/** How Jobs, pods and Secrets of attempts are named and labelled, and read back. */
import type { V1ObjectMeta } from "@kubernetes/client-node";
import type { AttemptIds, LaunchSpec, TrainerIdentity } from "../launcher.ts";

/** The one container of a trainer's pod. */
export const CONTAINER = "trainer";
/** Kubernetes' own label on the pods of a Job. */
export const JOB_LABEL = "batch.kubernetes.io/job-name";

const LABEL = {
  instance: "vision-platform.instance",
  framework: "vision-platform.framework",
  kind: "vision-platform.kind",
  job: "vision-platform.job",
  attempt: "vision-platform.attempt",
  marker: "vision-platform.marker",
  /** Network policies choose by it: `closed`, or `open` for trainers that may reach the internet. */
  network: "vision-platform.network",
} as const;

/** Which trainers a worker looks after. */
export interface Scope {
  /** The platform's own name: two platforms in one namespace never touch each other's Jobs. */
  instance: string;
  framework: string;
}

/** Selects all that belongs to the workers of one framework. */
export function selector(scope: Scope): string {
  return `${LABEL.instance}=${scope.instance},${LABEL.framework}=${scope.framework}`;
}

/** On Job, pod and Secret alike. */
export function labelsOf(scope: Scope, spec: LaunchSpec): Record<string, string> {
  return {
    "app.kubernetes.io/name": "vision-platform",
    "app.kubernetes.io/component": "trainer",
    "app.kubernetes.io/managed-by": "vision-platform-worker",
    [LABEL.instance]: scope.instance,
    [LABEL.framework]: scope.framework,
    [LABEL.kind]: spec.kind,
    [LABEL.job]: String(spec.job_id),
    [LABEL.attempt]: String(spec.attempt),
    [LABEL.marker]: spec.marker,
    [LABEL.network]: spec.allowNetwork ? "open" : "closed",
  };
}

/** The attempt that a Job was made for; null when its labels do not say. */
export function attemptOf(metadata: V1ObjectMeta | undefined): (AttemptIds & { identity: TrainerIdentity }) | null {
  const labels = metadata?.labels ?? {};
  const job_id = Number(labels[LABEL.job]);
  const attempt = Number(labels[LABEL.attempt]);
  const marker = labels[LABEL.marker];
  if (!Number.isInteger(job_id) || !Number.isInteger(attempt) || marker === undefined) return null;
  return { job_id, attempt, identity: { marker, handle: metadata?.uid ?? null } };
}
