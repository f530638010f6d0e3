import { afterAll, describe, expect, it } from "vitest";
import { removeLaunchFolders, scriptedLaunch } from "../../testing/launch-spec.ts";
import { jobObject, secretObject } from "./job-object.ts";
import { attemptOf, selector } from "./names.ts";
import { parseSettings } from "./trainer-settings.ts";

afterAll(removeLaunchFolders);
const scope = { instance: "vision-platform", framework: "scripted" };
const settings = (given: object = {}) => parseSettings(given, "test");
const launch = (changes = {}) => scriptedLaunch([], () => ({ GRACE_S: "30" }), { job_id: 7, attempt: 2, ...changes });

describe("a Job", () => {
  const job = jobObject(scope, launch(), settings());
  const pod = job.spec?.template.spec;

  it("is named and labelled after its attempt, and read back", () => {
    expect(job.metadata?.name).toBe("vp-7-a2");
    expect(attemptOf({ ...job.metadata, uid: "u" })).toMatchObject({
      job_id: 7,
      attempt: 2,
      identity: { handle: "u" },
    });
    expect(selector(scope)).toBe("vision-platform.instance=vision-platform,vision-platform.framework=scripted");
    const other = jobObject({ ...scope, instance: "team-a" }, launch(), settings());
    expect(other.metadata?.name).toBe("vp-team-a-7-a2");
    expect(attemptOf({ labels: {} })).toBeNull();
  });

  it("makes one pod once, and tells the trainer's own ends from disruptions", () => {
    expect(job.spec).toMatchObject({ backoffLimit: 0, completions: 1, parallelism: 1, ttlSecondsAfterFinished: 3_600 });
    const [disruption, own] = job.spec?.podFailurePolicy?.rules ?? [];
    expect(disruption?.onPodConditions?.[0]).toMatchObject({ type: "DisruptionTarget" });
    expect(own?.onExitCodes?.values).toEqual([2, 3, 4, 5, 10, 11, 12, 20, 21, 22, 70]);
  });

  it("is restricted: no root, no rights, no token, nothing to write but its own folders", () => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      serviceAccountName: "vision-platform-trainer",
      terminationGracePeriodSeconds: 35,
      securityContext: { runAsNonRoot: true, runAsUser: 10_001, seccompProfile: { type: "RuntimeDefault" } },
    });
    const [container] = pod?.containers ?? [];
    expect(container?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      privileged: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    expect(container?.volumeMounts?.map(({ mountPath }) => mountPath)).toEqual(["/work", "/tmp", "/cache", "/dev/shm"]);
    expect(pod?.volumes?.some(({ hostPath }) => hostPath)).toBe(false);
  });

  it("says nothing secret: the environment is in a Secret that belongs to it", () => {
    const spec = launch();
    expect(JSON.stringify(jobObject(scope, spec, settings()))).not.toContain(spec.env.CALLBACK_TOKEN);
    const secret = secretObject(scope, spec, "uid-1");
    expect(secret).toMatchObject({ immutable: true, stringData: { JOB_ID: "7" } });
    expect(secret.metadata?.ownerReferences).toMatchObject([{ kind: "Job", name: "vp-7-a2", uid: "uid-1" }]);
  });

  it("counts waiting for a node on the Job's clock only", () => {
    expect(pod?.activeDeadlineSeconds).toBe(600 + 35 + 60);
    expect(job.spec?.activeDeadlineSeconds).toBeGreaterThan(600 + 3_600);
  });
});

describe("settings", () => {
  const podOf = (given: object, changes = {}) => jobObject(scope, launch(changes), settings(given)).spec?.template.spec;

  it("give resources: the worker's own limits first, requests as limits, GPUs as the cluster calls them", () => {
    const given = { limits: { cpu: 4, memory: "16Gi" }, gpu_resource: "nvidia.com/gpu" };
    const resources = podOf(given, { memoryBytes: 1024, gpus: ["0", "1"] })?.containers[0]?.resources;
    const same = { cpu: "4", memory: "1024", "nvidia.com/gpu": "2" };
    expect(resources).toEqual({ limits: same, requests: same });
    const promised = { ...given, requests: { cpu: "500m" } };
    expect(podOf(promised, { gpus: ["0"] })?.containers[0]?.resources?.requests).toEqual({
      cpu: "500m",
      "nvidia.com/gpu": "1",
    });
    expect(podOf({ limits: {} }, { gpus: ["0"] })?.containers[0]?.resources?.limits).toEqual({});
  });

  it("choose nodes, classes, queue and cache", () => {
    const given = {
      node_selector: { pool: "gpu" },
      tolerations: [{ key: "gpu", operator: "Exists" }],
      priority_class: "batch",
      runtime_class: "nvidia",
      queue_name: "team",
      cache: { kind: "claim", claim: "shared" },
    };
    expect(podOf(given)).toMatchObject({
      nodeSelector: { pool: "gpu" },
      priorityClassName: "batch",
      runtimeClassName: "nvidia",
    });
    expect(podOf(given)?.tolerations?.map(({ key }) => key)).toContain("gpu");
    expect(podOf(given)?.volumes).toContainEqual({ name: "cache", persistentVolumeClaim: { claimName: "shared" } });
    const labels = jobObject(scope, launch(), settings(given)).metadata?.labels;
    expect(labels?.["kueue.x-k8s.io/queue-name"]).toBe("team");
  });

  it("label trainers for the network policies", () => {
    const open = jobObject(scope, launch({ allowNetwork: true }), settings()).spec?.template.metadata?.labels;
    expect(open?.["vision-platform.network"]).toBe("open");
  });

  it("that are wrong are named", () => {
    expect(() => settings({ limits: { memory: "much" } })).toThrow("limits.memory: a quantity such as 2, 500m or 8Gi");
    expect(() => settings({ privileged: true })).toThrow(/privileged/);
    expect(() => settings({ cache: { kind: "host", path: "/" } })).toThrow(/cache/);
  });
});
