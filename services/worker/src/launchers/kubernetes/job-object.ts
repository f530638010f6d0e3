/** The Kubernetes objects of one attempt, from what the worker wants to start. Pure. */
import type { V1Job, V1PodSpec, V1PodTemplateSpec, V1Secret, V1Volume } from "@kubernetes/client-node";
import { FAILURES } from "@vision-platform/contracts/failure-codes";
import type { LaunchSpec } from "../launcher.ts";
import { attemptObjectName } from "../platform-instance.ts";
import { CONTAINER, labelsOf, type Scope } from "./names.ts";
import type { KubernetesSettings } from "./trainer-settings.ts";

/** The trainer's user in every image. */
const USER = 10_001;
/** What Kubernetes waits beyond the trainer's own clocks: the trainer and the worker come first. */
const MARGIN_S = 60;
/** Where a trainer may write. */
export const FOLDERS = { work: "/work", tmp: "/tmp", cache: "/cache" } as const;

/** Seconds a pod gets between SIGTERM and SIGKILL when the cluster takes it away. */
export function graceSeconds(spec: Pick<LaunchSpec, "env">): number {
  const grace = Number(spec.env.GRACE_S);
  return Number.isFinite(grace) && grace > 0 ? Math.ceil(grace) + 5 : 35;
}

function resources(spec: LaunchSpec, settings: KubernetesSettings) {
  const limits: Record<string, string> = { ...settings.limits };
  if (spec.memoryBytes !== undefined) limits.memory = String(spec.memoryBytes);
  if (spec.cpus !== undefined) limits.cpu = String(spec.cpus);
  const gpus = settings.gpu_resource;
  const devices: Record<string, string> =
    gpus !== null && spec.gpus.length > 0 ? { [gpus]: String(spec.gpus.length) } : {};
  return { limits: { ...limits, ...devices }, requests: { ...(settings.requests ?? limits), ...devices } };
}

function volumes(spec: LaunchSpec, settings: KubernetesSettings): V1Volume[] {
  const { cache } = settings;
  return [
    { name: "work", emptyDir: { sizeLimit: settings.work_size } },
    { name: "tmp", emptyDir: { sizeLimit: settings.tmp_size } },
    { name: "shm", emptyDir: { medium: "Memory", sizeLimit: String(spec.shmBytes) } },
    cache.kind === "claim"
      ? { name: "cache", persistentVolumeClaim: { claimName: cache.claim } }
      : { name: "cache", emptyDir: { sizeLimit: cache.size } },
  ];
}

/** Without these a pod stays five minutes on a node that went away. */
function tolerations(settings: KubernetesSettings) {
  const away = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map((key) => ({
    key,
    operator: "Exists",
    effect: "NoExecute",
    tolerationSeconds: settings.node_lost_after_s,
  }));
  return [...settings.tolerations, ...away];
}

function podSpec(name: string, spec: LaunchSpec, settings: KubernetesSettings): V1PodSpec {
  const grace = graceSeconds(spec);
  return {
    restartPolicy: "Never",
    serviceAccountName: settings.service_account,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: grace,
    // Counts from the pod's start on its node, so that waiting for one costs the trainer nothing.
    activeDeadlineSeconds: Math.ceil(spec.maxRuntimeS) + grace + MARGIN_S,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    nodeSelector: settings.node_selector,
    tolerations: tolerations(settings),
    ...(settings.priority_class === undefined ? {} : { priorityClassName: settings.priority_class }),
    ...(settings.runtime_class === undefined ? {} : { runtimeClassName: settings.runtime_class }),
    imagePullSecrets: settings.image_pull_secrets.map((secret) => ({ name: secret })),
    volumes: volumes(spec, settings),
    containers: [
      {
        name: CONTAINER,
        image: spec.image,
        imagePullPolicy: settings.image_pull_policy,
        // Arguments, not command: the image's own first process (tini) stays the first.
        args: [...spec.command],
        workingDir: FOLDERS.work,
        envFrom: [{ secretRef: { name } }],
        resources: resources(spec, settings),
        securityContext: {
          allowPrivilegeEscalation: false,
          privileged: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: [
          ...Object.entries(FOLDERS).map(([volume, mountPath]) => ({ name: volume, mountPath })),
          { name: "shm", mountPath: "/dev/shm" },
        ],
      },
    ],
  };
}

/** Codes that the trainer ends with for a reason of its own (contract.md), as opposed to a kill or a crash. */
function trainersOwnExitCodes(): number[] {
  const codes = Object.values(FAILURES).flatMap((rule) => ("exit_code" in rule ? [rule.exit_code] : []));
  return [...new Set(codes)].sort((one, other) => one - other);
}

/** The Job of an attempt. It makes one pod, once: whether the job goes on is for the gateway to say. */
export function jobObject(scope: Scope, spec: LaunchSpec, settings: KubernetesSettings): V1Job {
  const name = attemptObjectName(scope.instance, spec);
  const labels = labelsOf(scope, spec);
  const annotations = { ...settings.annotations, "vision-platform.trace-id": spec.trace_id };
  const template: V1PodTemplateSpec = {
    metadata: { labels: { ...settings.labels, ...labels }, annotations },
    spec: podSpec(name, spec, settings),
  };
  const queue: Record<string, string> =
    settings.queue_name === undefined ? {} : { "kueue.x-k8s.io/queue-name": settings.queue_name };
  const waiting = settings.unschedulable_limit_s + settings.start_limit_s;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, labels: { ...settings.labels, ...labels, ...queue }, annotations },
    spec: {
      completions: 1,
      parallelism: 1,
      backoffLimit: 0,
      activeDeadlineSeconds: Math.ceil(spec.maxRuntimeS) + graceSeconds(spec) + waiting + 2 * MARGIN_S,
      ttlSecondsAfterFinished: settings.ttl_s,
      podReplacementPolicy: "Failed",
      // Both end the Job; which rule did stands in its condition, for whoever looks at the cluster.
      podFailurePolicy: {
        rules: [
          { action: "FailJob", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          {
            action: "FailJob",
            onExitCodes: { containerName: CONTAINER, operator: "In", values: trainersOwnExitCodes() },
          },
        ],
      },
      template,
    },
  };
}

/**
 * The attempt's environment. It is made after its Job and belongs to it from the first moment, so that no Secret is ever
 * left behind; a pod that is quicker waits for it.
 */
export function secretObject(scope: Scope, spec: LaunchSpec, jobUid: string): V1Secret {
  const name = attemptObjectName(scope.instance, spec);
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "Opaque",
    immutable: true,
    metadata: {
      name,
      labels: labelsOf(scope, spec),
      ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name, uid: jobUid, controller: true }],
    },
    // Which GPUs it sees is the cluster's to say.
    stringData: Object.fromEntries(Object.entries(spec.env).filter(([name]) => name !== "CUDA_VISIBLE_DEVICES")),
  };
}
