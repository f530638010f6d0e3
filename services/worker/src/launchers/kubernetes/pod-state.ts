/** What a pod's status says about the trainer in it: why it waits, whether it runs, how it ended. Pure. */
import { constants } from "node:os";
import type { V1ContainerStatus, V1Pod, V1PodCondition } from "@kubernetes/client-node";
import type { Exit, LaunchError } from "../launcher.ts";
import { CONTAINER } from "./names.ts";

/** What a trainer waits for; each has a limit of its own. */
export type WaitsFor = "node" | "image" | "start" | "configuration";

export interface Waiting {
  for: WaitsFor;
  message: string;
  /** It will never come. */
  hopeless?: LaunchError["code"];
}

/** More waits do not help: the name is wrong, or the policy forbids to pull. */
const NEVER_AN_IMAGE = ["InvalidImageName", "ErrImageNeverPull"];
const NO_IMAGE_YET = ["ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"];
const NOT_CONFIGURED = ["CreateContainerConfigError", "CreateContainerError", "RunContainerError"];
/** The container could not begin to run: the command is not in the image, or the runtime refused it. */
const NEVER_RAN = ["StartError", "ContainerCannotRun"];
/** How an image's first process says that it did not find, or may not run, what it was told to. */
const NO_SUCH_COMMAND = [126, 127];
/** Kubernetes counts in whole seconds. */
const AT_ONCE_MS = 1_000;
/** DisruptionTarget reasons that tell of a node that went away, not of one that wanted the room. */
const NODE_GONE = ["DeletionByPodGC", "DeletionByTaintManager"];

function container(pod: V1Pod): V1ContainerStatus | undefined {
  return pod.status?.containerStatuses?.find((status) => status.name === CONTAINER);
}

function condition(pod: V1Pod, type: string): V1PodCondition | undefined {
  return pod.status?.conditions?.find((each) => each.type === type);
}

function isOver(pod: V1Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** The trainer runs, or has run. */
export function hasStarted(pod: V1Pod): boolean {
  const state = container(pod)?.state;
  return state?.running !== undefined || state?.terminated !== undefined || isOver(pod);
}

/** Why the trainer never began to run; null when it did, or may still. */
export function whyNeverRan(pod: V1Pod): string | null {
  const ended = container(pod)?.state?.terminated;
  if (ended === undefined) return null;
  if (NEVER_RAN.includes(ended.reason ?? "")) return ended.message ?? ended.reason ?? "it did not start";
  const lasted = +new Date(ended.finishedAt ?? 0) - +new Date(ended.startedAt ?? 0);
  if (!NO_SUCH_COMMAND.includes(ended.exitCode) || lasted > AT_ONCE_MS) return null;
  return `the command ${pod.spec?.containers[0]?.args?.[0] ?? ""} cannot be run in its image (exit code ${ended.exitCode})`;
}

/** What a pod that has not started waits for. */
export function whyWaiting(pod: V1Pod): Waiting {
  const image = pod.spec?.containers[0]?.image ?? "";
  const scheduled = condition(pod, "PodScheduled");
  if (scheduled?.status !== "True") {
    const why = scheduled?.message ? `: ${scheduled.message}` : "";
    return { for: "node", message: `no node takes the pod yet${why}` };
  }
  const { reason = "", message = "" } = container(pod)?.state?.waiting ?? {};
  if (NEVER_AN_IMAGE.includes(reason)) {
    return { for: "image", message: `${image}: ${message || reason}`, hopeless: "IMAGE_MISSING" };
  }
  if (NO_IMAGE_YET.includes(reason)) return { for: "image", message: `the image ${image} does not come: ${message}` };
  if (NOT_CONFIGURED.includes(reason)) return { for: "configuration", message: `${reason}: ${message}` };
  return { for: "start", message: `the node ${pod.spec?.nodeName ?? ""} prepares the container` };
}

/** 128 and a signal's number, as every runtime says it; other codes stay codes. */
function codeOrSignal(exitCode: number): Pick<Exit, "code" | "signal"> {
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  const signal = names.find(([, number]) => number === exitCode - 128)?.[0];
  return signal === undefined ? { code: exitCode, signal: null } : { code: null, signal };
}

/** Who took the pod away; undefined when it ended by itself. A deletion without a reason is told apart by the caller. */
function takenBy(pod: V1Pod): Exit["taken"] {
  const disrupted = condition(pod, "DisruptionTarget");
  const message = disrupted?.message ?? pod.status?.message ?? "";
  if (disrupted?.status === "True") {
    const by = NODE_GONE.includes(disrupted.reason ?? "") ? "host_lost" : "evicted";
    return { by, message: `${disrupted.reason}: ${message}` };
  }
  const reason = pod.status?.reason;
  if (reason === "DeadlineExceeded") return { by: "deadline", message: message || "the pod ran longer than it may" };
  if (reason === "NodeLost") return { by: "host_lost", message: message || "the pod's node went away" };
  const status = container(pod)?.state?.terminated;
  if (status?.reason === "ContainerStatusUnknown") return { by: "host_lost", message: status.message ?? status.reason };
  // Evicted, Terminated (the node shut down), Preempting, OutOfcpu, NodeAffinity, UnexpectedAdmissionError …
  if (isOver(pod) && reason !== undefined)
    return { by: "evicted", message: message ? `${reason}: ${message}` : reason };
  if (pod.metadata?.deletionTimestamp !== undefined) return { by: "removed", message: "the pod was deleted" };
  return undefined;
}

/** How the trainer ended; null while it has not. */
export function exitOf(pod: V1Pod): Exit | null {
  const ended = container(pod)?.state?.terminated;
  if (ended === undefined && !isOver(pod)) return null;
  const taken = takenBy(pod);
  const known = ended !== undefined && ended.reason !== "ContainerStatusUnknown";
  return {
    ...(known ? codeOrSignal(ended.exitCode) : { code: null, signal: null }),
    // Where a child was the one killed, the reason says so beside the exit code that the trainer itself chose.
    outOfMemory: ended?.reason === "OOMKilled",
    ...(taken === undefined ? {} : { taken }),
  };
}

/** The exit of a pod that is gone without having told one. */
export function exitOfVanished(last: V1Pod | undefined): Exit {
  const told = last && exitOf(last);
  if (told) return told;
  const taken = last && takenBy(last);
  return { code: null, signal: null, taken: taken ?? { by: "removed", message: "the pod is gone" } };
}
