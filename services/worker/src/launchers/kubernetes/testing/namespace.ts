/** A namespace of a test's own, with the rules that the chart gives to the namespace of trainers. */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, connectCluster } from "../cluster.ts";

export interface TestNamespace {
  name: string;
  cluster: Cluster;
  /** Writes a settings file for a worker; answers with its path. */
  settingsFile(settings: object): string;
  remove(): Promise<void>;
}

/** Pods that are not restricted are refused in it. Remove it in `afterAll`. */
export async function makeNamespace(purpose: string): Promise<TestNamespace> {
  const name = `vp-test-${purpose}-${process.pid}`;
  const cluster = connectCluster(name);
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await cluster.core.createNamespace({ body: { metadata: { name, labels } } });
  const account = { metadata: { name: "vision-platform-trainer" }, automountServiceAccountToken: false };
  await cluster.core.createNamespacedServiceAccount({ namespace: name, body: account });
  let files = 0;
  return {
    name,
    cluster,
    settingsFile(settings) {
      files += 1;
      const file = join(tmpdir(), `${name}-${files}.json`);
      writeFileSync(file, JSON.stringify(settings));
      return file;
    },
    async remove() {
      await cluster.core.deleteNamespace({ name });
    },
  };
}
