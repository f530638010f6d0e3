/** From the created Job to the running trainer: says what it waits for, and gives up where waiting is hopeless. */

import { LaunchError, type LaunchSpec } from "../launcher.ts";
import type { Cluster } from "./cluster.ts";
import { ifThere } from "./cluster.ts";
import { hasStarted, type Waiting, type WaitsFor, whyNeverRan, whyWaiting } from "./pod-state.ts";
import type { TrainerPod } from "./trainer-pod.ts";
import type { KubernetesSettings } from "./trainer-settings.ts";

const LOOK_EVERY_MS = 1_000;
/** Events are asked for this often at most: they only explain. */
const EXPLAIN_EVERY_MS = 4_000;
/** A Secret that a pod lacks, a volume that is not there: it comes at once or not at all. */
const CONFIGURATION_LIMIT_S = 90;

interface Limit {
  seconds: number;
  code: LaunchError["code"];
}

function limitsOf(settings: KubernetesSettings): Record<WaitsFor, Limit> {
  return {
    node: { seconds: settings.unschedulable_limit_s, code: "NOT_SCHEDULABLE" },
    image: { seconds: settings.image_limit_s, code: "IMAGE_MISSING" },
    start: { seconds: settings.start_limit_s, code: "LAUNCH_FAILED" },
    configuration: { seconds: CONFIGURATION_LIMIT_S, code: "LAUNCH_FAILED" },
  };
}

/** The newest event about an object, such as "Pulling image …" or what a quota forbids; undefined without one. */
async function newestEvent(cluster: Cluster, uid: string): Promise<string | undefined> {
  const fieldSelector = `involvedObject.uid=${uid}`;
  const { items } = await cluster.core.listNamespacedEvent({ namespace: cluster.namespace, fieldSelector, limit: 50 });
  const when = (event: (typeof items)[number]) => +new Date(event.lastTimestamp ?? event.eventTime ?? 0);
  return items.sort((one, other) => when(other) - when(one))[0]?.message;
}

/** What a Job without a pod waits for: its queue, or a quota, or an admission rule. */
async function whyNoPod(cluster: Cluster, jobName: string): Promise<Waiting> {
  const job = await ifThere(cluster.batch.readNamespacedJob({ name: jobName, namespace: cluster.namespace }));
  if (job === undefined) return { for: "node", message: "the Job was removed", hopeless: "LAUNCH_FAILED" };
  if (job.spec?.suspend) return { for: "node", message: "the Job waits in its queue" };
  const event = await newestEvent(cluster, job.metadata?.uid ?? "");
  return { for: "node", message: event ? `no pod yet: ${event}` : "no pod yet" };
}

/** Asks the cluster for what its objects do not say themselves; seldom, and never in the way of the start. */
function createExplainer(cluster: Cluster, trainer: TrainerPod) {
  let asked = Date.now() - EXPLAIN_EVERY_MS + LOOK_EVERY_MS;
  let known: Waiting = { for: "node", message: "no pod yet" };
  return async (): Promise<Waiting> => {
    const pod = trainer.pod();
    const plain = pod ? whyWaiting(pod) : known;
    if (pod && plain.for !== "start") return plain;
    if (Date.now() - asked < EXPLAIN_EVERY_MS) return known.for === plain.for ? known : plain;
    asked = Date.now();
    try {
      if (!pod) known = await whyNoPod(cluster, trainer.jobName);
      else {
        const event = await newestEvent(cluster, pod.metadata?.uid ?? "");
        known = event ? { ...plain, message: `${plain.message}: ${event}` } : plain;
      }
    } catch {
      known = plain;
    }
    return known;
  };
}

/**
 * Resolves when the trainer runs, has run, or was taken away before it could. Rejects with LaunchError when it waited
 * longer than the settings allow, can never run, or when `spec.signal` says that nobody waits any more.
 */
export async function untilStarted(
  cluster: Cluster,
  trainer: TrainerPod,
  spec: Pick<LaunchSpec, "signal" | "onWaiting">,
  settings: KubernetesSettings,
): Promise<void> {
  const limits = limitsOf(settings);
  const since = new Map<WaitsFor, number>();
  const explain = createExplainer(cluster, trainer);
  let told = "";
  for (;;) {
    const pod = trainer.pod();
    if (pod && hasStarted(pod)) {
      const never = whyNeverRan(pod);
      if (never !== null) throw new LaunchError("LAUNCH_FAILED", `the trainer could not be started: ${never}`);
      return;
    }
    if (trainer.isOver()) return;
    if (spec.signal.aborted) throw new LaunchError("LAUNCH_FAILED", "the attempt was stopped before its trainer ran");
    const waiting = await explain();
    const began = since.get(waiting.for) ?? Date.now();
    since.set(waiting.for, began);
    const limit = limits[waiting.for];
    if (waiting.hopeless) throw new LaunchError(waiting.hopeless, waiting.message);
    if (Date.now() - began > limit.seconds * 1000) {
      throw new LaunchError(limit.code, `after ${limit.seconds} s still: ${waiting.message}`);
    }
    if (waiting.message !== told && Date.now() - began >= LOOK_EVERY_MS) {
      told = waiting.message;
      spec.onWaiting({ message: told, pct: null });
    }
    await Promise.race([trainer.news(LOOK_EVERY_MS), aborted(spec.signal)]);
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true, signal: AbortSignal.timeout(LOOK_EVERY_MS) });
  });
}
