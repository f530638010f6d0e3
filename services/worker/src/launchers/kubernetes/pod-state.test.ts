import type { V1ContainerState, V1Pod, V1PodStatus } from "@kubernetes/client-node";
import { describe, expect, it } from "vitest";
import { exitOf, exitOfVanished, hasStarted, whyNeverRan, whyWaiting } from "./pod-state.ts";

const SCHEDULED = { type: "PodScheduled", status: "True" };

function pod(status: V1PodStatus, state?: V1ContainerState, deletionTimestamp?: Date): V1Pod {
  const shared = { name: "trainer", image: "i:1", imageID: "", ready: false, restartCount: 0 };
  const containers = state ? { containerStatuses: [{ ...shared, state }] } : {};
  return {
    metadata: { name: "p", ...(deletionTimestamp ? { deletionTimestamp } : {}) },
    spec: { nodeName: "node-1", containers: [{ name: "trainer", image: "i:1", args: ["python"] }] },
    status: { conditions: [SCHEDULED], ...status, ...containers },
  };
}

const ended = (exitCode: number, reason = "Error") => ({ terminated: { exitCode, reason } });

describe("waiting", () => {
  const waiting = (reason: string, message = "because") => pod({}, { waiting: { reason, message } });

  it("is for a node while none takes the pod", () => {
    const message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
    const pending = pod({ conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }] });
    expect(whyWaiting(pending)).toEqual({ for: "node", message: `no node takes the pod yet: ${message}` });
    expect(hasStarted(pending)).toBe(false);
  });

  it("is for an image that does not come, and hopeless where it never will", () => {
    expect(whyWaiting(waiting("ImagePullBackOff"))).toMatchObject({ for: "image" });
    expect(whyWaiting(waiting("ImagePullBackOff")).hopeless).toBeUndefined();
    expect(whyWaiting(waiting("ErrImageNeverPull"))).toMatchObject({ for: "image", hopeless: "IMAGE_MISSING" });
  });

  it("is for the container's configuration, or for its start", () => {
    expect(whyWaiting(waiting("CreateContainerConfigError"))).toMatchObject({ for: "configuration" });
    expect(whyWaiting(waiting("ContainerCreating"))).toMatchObject({ for: "start" });
  });

  it("ends where the command is not in the image", () => {
    expect(whyNeverRan(pod({ phase: "Failed" }, ended(128, "StartError")))).toBe("StartError");
    expect(whyNeverRan(pod({ phase: "Failed" }, ended(127)))).toMatch(/command python cannot be run/);
    expect(whyNeverRan(pod({ phase: "Failed" }, ended(1)))).toBeNull();
  });
});

describe("exit", () => {
  it("is not known while the trainer runs", () => {
    expect(exitOf(pod({ phase: "Running" }, { running: {} }))).toBeNull();
  });

  it("is the trainer's code, or the signal behind 128 and more", () => {
    expect(exitOf(pod({ phase: "Succeeded" }, ended(0, "Completed")))).toEqual({
      code: 0,
      signal: null,
      outOfMemory: false,
    });
    expect(exitOf(pod({ phase: "Failed" }, ended(137)))).toMatchObject({ code: null, signal: "SIGKILL" });
    expect(exitOf(pod({ phase: "Failed" }, ended(255)))).toMatchObject({ code: 255, signal: null });
  });

  it("tells of memory that ran out, also where a child was killed and the trainer chose its own code", () => {
    expect(exitOf(pod({ phase: "Failed" }, ended(137, "OOMKilled")))).toMatchObject({ outOfMemory: true });
    expect(exitOf(pod({ phase: "Failed" }, ended(12, "OOMKilled")))).toMatchObject({ code: 12, outOfMemory: true });
  });

  it.each([
    ["EvictionByEvictionAPI", "evicted"],
    ["PreemptionByScheduler", "evicted"],
    ["TerminationByKubelet", "evicted"],
    ["DeletionByTaintManager", "host_lost"],
    ["DeletionByPodGC", "host_lost"],
  ])("tells of the disruption %s", (reason, by) => {
    const disrupted = { type: "DisruptionTarget", status: "True", reason, message: "why" };
    const taken = pod({ phase: "Failed", conditions: [SCHEDULED, disrupted] }, ended(21), new Date());
    expect(exitOf(taken)).toMatchObject({ code: 21, taken: { by, message: `${reason}: why` } });
  });

  it("tells of a node that was full, of the deadline, and of a deletion", () => {
    expect(exitOf(pod({ phase: "Failed", reason: "Evicted", message: "disk" }))).toMatchObject({
      code: null,
      taken: { by: "evicted", message: "Evicted: disk" },
    });
    expect(exitOf(pod({ phase: "Failed", reason: "DeadlineExceeded" }, ended(137)))).toMatchObject({
      taken: { by: "deadline" },
    });
    expect(exitOf(pod({ phase: "Failed" }, ended(20), new Date()))).toMatchObject({
      code: 20,
      taken: { by: "removed" },
    });
  });

  it("is unknown where the node lost the container", () => {
    const lost = pod({ phase: "Failed" }, ended(137, "ContainerStatusUnknown"));
    expect(exitOf(lost)).toMatchObject({ code: null, signal: null, taken: { by: "host_lost" } });
  });

  it("of a vanished pod is the last that was heard", () => {
    expect(exitOfVanished(undefined)).toEqual({
      code: null,
      signal: null,
      taken: { by: "removed", message: "the pod is gone" },
    });
    expect(exitOfVanished(pod({ phase: "Failed" }, ended(3)))).toMatchObject({ code: 3 });
  });
});
