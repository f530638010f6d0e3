/** Keeps what the cluster says about a worker's pods: a list, then a watch from there, again and again. */
import { setTimeout as sleep } from "node:timers/promises";
import { type V1Pod, Watch } from "@kubernetes/client-node";
import type { Logger } from "@vision-platform/common/logger";
import { type Cluster, reasonOf } from "./cluster.ts";
import { JOB_LABEL } from "./names.ts";

const LONGEST_PAUSE_MS = 5_000;
/** The server ends a watch after this; a fresh list then repairs whatever was missed. */
const WATCH_S = 240;

/** Called with each state of the pod of a Job, and once with `gone` and its last state. */
export type PodListener = (pod: V1Pod, gone: boolean) => void;

export interface PodWatch {
  /** Hears of the Job's pod from now on, at once when it is known; the answer ends that. */
  follow(jobName: string, listener: PodListener): () => void;
}

/**
 * One watch for all trainers of a worker, for as long as somebody listens. While the API server is away nothing is said:
 * silence is no news about a pod.
 */
export function createPodWatch(cluster: Cluster, labelSelector: string, logger: Logger): PodWatch {
  const path = `/api/v1/namespaces/${cluster.namespace}/pods`;
  const listeners = new Map<string, Set<PodListener>>();
  let pods = new Map<string, V1Pod>();
  let running: AbortController | undefined;

  function tell(pod: V1Pod, gone: boolean): void {
    const job = pod.metadata?.labels?.[JOB_LABEL];
    if (job === undefined) return;
    if (gone) pods.delete(job);
    else pods.set(job, pod);
    for (const listener of [...(listeners.get(job) ?? [])]) listener(pod, gone);
  }

  async function list(): Promise<string> {
    const { items, metadata } = await cluster.core.listNamespacedPod({ namespace: cluster.namespace, labelSelector });
    const before = pods;
    pods = new Map();
    for (const pod of items) tell(pod, false);
    for (const [job, pod] of before) if (!pods.has(job)) tell(pod, true);
    return metadata?.resourceVersion ?? "";
  }

  function watchFrom(resourceVersion: string, stop: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let connection: AbortController | undefined;
      const end = () => connection?.abort();
      stop.addEventListener("abort", end, { once: true });
      const done = (error: unknown) => {
        stop.removeEventListener("abort", end);
        const quiet = (error as { name?: string } | null)?.name === "TimeoutError";
        if (error && !quiet && !stop.aborted) reject(error);
        else resolve();
      };
      const heard = (phase: string, pod: V1Pod) => {
        // 410 Gone and the like: what comes next begins with a list anyway.
        if (phase === "ERROR") return end();
        if (!stop.aborted && phase !== "BOOKMARK") tell(pod, phase === "DELETED");
      };
      const query = { labelSelector, resourceVersion, timeoutSeconds: WATCH_S };
      new Watch(cluster.config).watch(path, query, heard, done).then((made) => {
        connection = made;
        if (stop.aborted) end();
      }, reject);
    });
  }

  async function run(stop: AbortSignal): Promise<void> {
    let pause = 0;
    while (!stop.aborted) {
      try {
        const version = await list();
        if (pause > 0) logger.info({ server: cluster.server }, "the Kubernetes API answers again");
        pause = 0;
        await watchFrom(version, stop);
      } catch (error) {
        if (stop.aborted) return;
        if (pause === 0) logger.warn({ reason: reasonOf(error) }, "the Kubernetes API does not answer; trainers go on");
        pause = Math.min(LONGEST_PAUSE_MS, Math.max(250, pause * 2));
        await sleep(pause, undefined, { signal: stop }).catch(() => undefined);
      }
    }
  }

  return {
    follow(jobName, listener) {
      const own = listeners.get(jobName) ?? new Set();
      listeners.set(jobName, own.add(listener));
      const known = pods.get(jobName);
      if (known) queueMicrotask(() => own.has(listener) && listener(known, false));
      if (!running) {
        running = new AbortController();
        void run(running.signal);
      }
      return () => {
        own.delete(listener);
        if (own.size === 0 && listeners.get(jobName) === own) listeners.delete(jobName);
        if (listeners.size > 0) return;
        running?.abort();
        running = undefined;
        pods = new Map();
      };
    },
  };
}
