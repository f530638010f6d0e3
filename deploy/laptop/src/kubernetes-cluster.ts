/** A Kubernetes cluster to test on: made here where a script for that is at hand, else kind's or k3d's. Never another. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { wholeEnvironment } from "./config.ts";
import { ROOT } from "./paths.ts";
import { runTool } from "./tool.ts";

/** Makes a cluster on a machine without one, and knows `up`, `load`, `status` and `down`. */
const SCRIPT = join(ROOT, "../shared/tools/local-kubernetes");

export interface TestCluster {
  /** In words for people. */
  name: string;
  kubeconfig: string;
  kubectl: string;
  /** The address at which pods reach this machine. */
  host: string;
  /** Brings images of the Docker engine into the cluster. Rejects when it does not take one. */
  load(images: string[]): Promise<void>;
  /** Stops what was started for the tests; nothing that was there before. */
  stop(): Promise<void>;
}

const nodeList = z.object({
  items: z.array(z.object({ metadata: z.object({ annotations: z.record(z.string(), z.string()).optional() }) })),
});

const silent = () => undefined;
const run = (command: string, args: string[]) =>
  runTool(command, args, { env: wholeEnvironment(), cwd: ROOT, detail: silent });

async function answers(command: string, args: string[]): Promise<string | undefined> {
  return await run(command, args).then(
    (output) => output.trim(),
    () => undefined,
  );
}

/** Loads what the cluster does not have yet: images of gigabytes take minutes. The node remembers what it got. */
async function loadNew(kubectl: string[], images: string[], load: (image: string) => Promise<unknown>): Promise<void> {
  const [command = "", ...options] = kubectl;
  const asked = await run(command, [...options, "get", "nodes", "--output", "json"]);
  const nodes = nodeList.parse(JSON.parse(asked)).items;
  for (const image of images) {
    const key = `vision-platform.test/${image.split(":")[0]?.split("/").at(-1)}`;
    const id = (await run("docker", ["image", "inspect", "--format", "{{.Id}}", image])).trim();
    const value = `${id.slice("sha256:".length, "sha256:".length + 40)}-${image.split(":").at(-1)}`;
    if (nodes.every(({ metadata }) => metadata.annotations?.[key] === value)) continue;
    await load(image);
    await run(command, [...options, "annotate", "nodes", "--all", "--overwrite", `${key}=${value}`]);
  }
}

async function ownCluster(): Promise<TestCluster> {
  const wasThere = (await answers(SCRIPT, ["status"])) !== undefined;
  const told = await run(SCRIPT, ["up"]);
  const read = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(told)?.[1] ?? "";
  return {
    name: "a cluster of this machine",
    kubeconfig: read("KUBECONFIG"),
    kubectl: read("KUBECTL"),
    host: read("HOST_ADDRESS"),
    load: (images) => loadNew([SCRIPT, "kubectl"], images, (image) => run(SCRIPT, ["load", image])),
    async stop() {
      if (!wasThere) await run(SCRIPT, ["down"]);
    },
  };
}

/** Both run their nodes as containers; the network's first address is this machine, as pods see it. */
async function containerCluster(context: string): Promise<TestCluster | undefined> {
  const [, tool = "", name = ""] = /^(kind|k3d)-(.+)$/.exec(context) ?? [];
  if (tool === "") return undefined;
  const network = tool === "kind" ? "kind" : `k3d-${name}`;
  const format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
  const host = (await answers("docker", ["network", "inspect", network, "--format", format]))
    ?.split(" ")
    .find((address) => address.includes("."));
  if (host === undefined) return undefined;
  const { KUBECONFIG, HOME = "" } = wholeEnvironment();
  return {
    name: context,
    kubeconfig: KUBECONFIG ?? join(HOME, ".kube/config"),
    kubectl: "kubectl",
    host,
    load: (images) =>
      loadNew(["kubectl"], images, (image) =>
        tool === "kind"
          ? run("kind", ["load", "docker-image", "--name", name, image])
          : run("k3d", ["image", "import", "--cluster", name, image]),
      ),
    stop: async () => undefined,
  };
}

/** undefined where there is none to test on. */
export async function testCluster(): Promise<TestCluster | undefined> {
  if (existsSync(SCRIPT)) return await ownCluster();
  const context = await answers("kubectl", ["config", "current-context"]);
  return context === undefined ? undefined : await containerCluster(context);
}
