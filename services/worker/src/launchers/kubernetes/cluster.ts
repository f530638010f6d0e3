/** The way to the cluster's API server: who we are, where we may act, and calls that never hang. */
import { existsSync, readFileSync } from "node:fs";
import {
  ApiException,
  BatchV1Api,
  CoreV1Api,
  createConfiguration,
  KubeConfig,
  type Middleware,
  ServerConfiguration,
} from "@kubernetes/client-node";
import { LaunchError } from "../launcher.ts";

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const CALL_LIMIT_MS = 15_000;
const RETRY_LIMIT_MS = 60_000;

export interface Cluster {
  config: KubeConfig;
  server: string;
  namespace: string;
  batch: BatchV1Api;
  core: CoreV1Api;
}

/** True in a pod that has a service account: then the cluster's API server can be asked. */
function runsInCluster(): boolean {
  return existsSync(`${ACCOUNT}/token`);
}

function loadConfig(): KubeConfig {
  const config = new KubeConfig();
  if (runsInCluster()) config.loadFromCluster();
  else config.loadFromDefault();
  return config;
}

function ownNamespace(config: KubeConfig): string {
  if (runsInCluster()) return readFileSync(`${ACCOUNT}/namespace`, "utf8").trim();
  return config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
}

/** The library knows no time limit of its own. */
const timeLimit: Middleware = {
  async pre(context) {
    context.setSignal(AbortSignal.timeout(CALL_LIMIT_MS));
    return context;
  },
  post: async (context) => context,
};

/** By the pod's service account, or by KUBECONFIG and ~/.kube/config. Throws LaunchError when none names a cluster. */
export function connectCluster(namespace: string | undefined): Cluster {
  const config = loadConfig();
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new LaunchError("BAD_CONFIG", "no Kubernetes cluster is named: set KUBECONFIG");
  const configuration = createConfiguration({
    baseServer: new ServerConfiguration(server, {}),
    authMethods: { default: config },
    promiseMiddleware: [timeLimit],
  });
  return {
    config,
    server,
    namespace: namespace ?? ownNamespace(config),
    batch: new BatchV1Api(configuration),
    core: new CoreV1Api(configuration),
  };
}

/** The HTTP status of a refused call; undefined when no answer came. */
export function statusOf(error: unknown): number | undefined {
  if (error instanceof ApiException) return error.code;
  const code = (error as { statusCode?: unknown } | null)?.statusCode;
  return typeof code === "number" ? code : undefined;
}

/** What the API server said, in a sentence. */
export function reasonOf(error: unknown): string {
  if (error instanceof ApiException) {
    try {
      const body = typeof error.body === "string" ? (JSON.parse(error.body) as unknown) : error.body;
      const { message } = body as { message?: string };
      if (message) return message;
    } catch {
      // Not a status object: the status has to do.
    }
    return `HTTP ${error.code}`;
  }
  const { cause, message } = error as { cause?: { message?: string }; message?: string };
  return cause?.message ?? message ?? String(error);
}

/** Nothing answered, or the answer was "not now". */
export function isPassing(error: unknown): boolean {
  const status = statusOf(error);
  return status === undefined || status === 429 || status >= 500;
}

/** The call's answer, or undefined where the object is not there. Rejects like the call otherwise. */
export async function ifThere<Value>(call: Promise<Value>): Promise<Value | undefined> {
  try {
    return await call;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

/** Calls again while the API server is away, for a minute at most, with growing pauses. `call` must bear repetition. */
export async function patiently<Value>(call: () => Promise<Value>, signal?: AbortSignal): Promise<Value> {
  const deadline = Date.now() + RETRY_LIMIT_MS;
  for (let pause = 250; ; pause = Math.min(5_000, pause * 2)) {
    try {
      return await call();
    } catch (error) {
      if (!isPassing(error) || signal?.aborted || Date.now() + pause > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
