import { createLogger } from "@vision-platform/common/logger";
import { afterAll } from "vitest";
import { readConfig } from "../../config.ts";
import { removeLaunchFolders } from "../../testing/launch-spec.ts";
import { launcherConformance } from "../../testing/launcher-conformance.ts";
import { SCRIPTED_COMMAND } from "../../testing/scripted-image.ts";
import { createKubernetesLauncher } from "./kubernetes-launcher.ts";
import { testCluster } from "./testing/config.ts";
import { makeNamespace } from "./testing/namespace.ts";

const { TEST_KUBERNETES_IMAGE: image } = testCluster();
const namespace = await makeNamespace("launcher");
afterAll(async () => {
  removeLaunchFolders();
  await namespace.remove();
});

const settings = namespace.settingsFile({ image_pull_policy: "Never", limits: { cpu: "1", memory: "512Mi" } });

function create() {
  const config = readConfig({
    FRAMEWORK: "scripted",
    GATEWAY_URL: "http://127.0.0.1:9",
    INTERNAL_TOKEN: "x".repeat(32),
    REDIS_URL: "redis://127.0.0.1:9",
    S3_ENDPOINT: "http://127.0.0.1:9",
    S3_ACCESS_KEY_ID: "id",
    S3_SECRET_ACCESS_KEY: "secret",
    STORAGE_BUCKET: "bucket",
    WORK_DIR: "/nowhere",
    TRAINERS_DIR: "/nowhere",
    TRAINER_ENVS_DIR: "/nowhere",
    KUBERNETES_NAMESPACE: namespace.name,
    KUBERNETES_SETTINGS_FILE: settings,
  });
  return createKubernetesLauncher(config, createLogger("test", "warn"));
}

launcherConformance("kubernetes", { create, adjust: (spec) => ({ ...spec, image, command: SCRIPTED_COMMAND }) });
