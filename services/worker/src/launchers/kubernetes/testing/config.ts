/** What the tests on a cluster are told by `./vp test --kubernetes`. */
import { loadConfig } from "@vision-platform/common/config";
import { z } from "zod";

const schema = z.object({
  KUBECONFIG: z.string().describe("the file that names the cluster of the test run"),
  TEST_KUBERNETES_HOST: z.string().describe("the address at which pods reach this machine, such as 10.0.0.1"),
  TEST_KUBERNETES_IMAGE: z.string().describe("the script trainer's image, as the cluster has it"),
});

/** The cluster of a test run. Throws ConfigError outside of one. */
export function testCluster(): z.output<typeof schema> {
  return loadConfig("Kubernetes tests", schema, process.env);
}
