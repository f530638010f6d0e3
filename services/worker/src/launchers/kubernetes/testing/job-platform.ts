/** A platform whose trainers run as Jobs of the test cluster: gateway, Redis and S3 here, workers here, trainers in pods. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dumpYaml, loadYaml, type V1Job, type V1Pod } from "@kubernetes/client-node";
import { testServices } from "../../../testing/config.ts";
import { eventually, startTestPlatform, type TestPlatform } from "../../../testing/platform.ts";
import { SCRIPTED_COMMAND } from "../../../testing/scripted-image.ts";
import { writeTestTrainers } from "../../../testing/test-trainers.ts";
import type { WorkerProcess } from "../../../testing/worker-process.ts";
import { testCluster } from "./config.ts";
import { type Door, openDoor } from "./doors.ts";
import { makeNamespace, type TestNamespace } from "./namespace.ts";

export interface JobPlatform {
  platform: TestPlatform;
  namespace: TestNamespace;
  /** The workers' way to the API server. */
  api: Door;
  /** A worker of the framework `scripted`. `settings` go into its settings file, `environment` into its environment. */
  worker(settings?: object, environment?: Record<string, string>): Promise<WorkerProcess>;
  jobs(): Promise<V1Job[]>;
  pods(): Promise<V1Pod[]>;
  /** The pod of an attempt once there is one. */
  podOf(job_id: number, attempt: number): Promise<V1Pod>;
  stop(): Promise<void>;
}

/** The same cluster by another address, which every cluster's certificate names. */
function writeKubeconfig(from: string, to: string, server: string): void {
  const config = loadYaml<{ clusters: { cluster: { server: string } }[] }>(readFileSync(from, "utf8"));
  for (const { cluster } of config.clusters) cluster.server = server;
  writeFileSync(to, dumpYaml(config), { mode: 0o600 });
}

/** Needs the TEST_* and TEST_KUBERNETES_* variables. Stop it in `afterAll`. */
export async function startJobPlatform(): Promise<JobPlatform> {
  const { KUBECONFIG, TEST_KUBERNETES_HOST: host, TEST_KUBERNETES_IMAGE: image } = testCluster();
  const namespace = await makeNamespace("faults");
  const platform = await startTestPlatform();
  const api = await openDoor("127.0.0.1", namespace.cluster.server);
  const [gateway, redis, s3] = await Promise.all(
    [platform.gateway.url, platform.gateway.redis_url, testServices().TEST_S3_ENDPOINT].map((url) =>
      openDoor(host, url),
    ),
  );
  const kubeconfig = join(platform.folder, "kubeconfig");
  writeKubeconfig(KUBECONFIG, kubeconfig, api.url.replace("127.0.0.1", "localhost"));
  const trainers = join(platform.folder, "trainers-in-images");
  writeTestTrainers(trainers, SCRIPTED_COMMAND);
  const { batch, core } = namespace.cluster;
  const pods = async () => (await core.listNamespacedPod({ namespace: namespace.name })).items;
  return {
    platform,
    namespace,
    api,
    worker: (settings = {}, environment = {}) =>
      platform.worker({
        TRAINING_EXECUTION_MODE: "kubernetes",
        KUBECONFIG: kubeconfig,
        KUBERNETES_NAMESPACE: namespace.name,
        KUBERNETES_SETTINGS_FILE: namespace.settingsFile({
          image_pull_policy: "Never",
          limits: { cpu: "1", memory: "256Mi" },
          requests: { cpu: "50m", memory: "64Mi" },
          ...settings,
        }),
        TRAINERS_DIR: trainers,
        IMAGE_TAG: image.split(":").at(-1) ?? "",
        TRAINER_GATEWAY_URL: gateway?.url ?? "",
        TRAINER_REDIS_URL: redis?.url ?? "",
        TRAINER_S3_ENDPOINT: s3?.url ?? "",
        ...environment,
      }),
    jobs: async () => (await batch.listNamespacedJob({ namespace: namespace.name })).items,
    pods,
    podOf: (job_id, attempt) =>
      eventually(async () =>
        (await pods()).find(({ metadata }) => metadata?.labels?.["job-name"] === `vp-${job_id}-a${attempt}`),
      ),
    async stop() {
      await platform.stop();
      for (const door of [gateway, redis, s3, api]) await door?.close();
      await namespace.remove();
    },
  };
}
