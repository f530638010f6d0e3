/** What an administrator decides about trainers in Kubernetes: one YAML or JSON file, checked when the worker starts. */
import { readFileSync } from "node:fs";
import { loadYaml } from "@kubernetes/client-node";
import { ConfigError } from "@vision-platform/common/config";
import { z } from "zod";

const quantity = z
  .union([z.string(), z.number()])
  .transform(String)
  .pipe(z.string().regex(/^\d+(\.\d+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/, "a quantity such as 2, 500m or 8Gi"));
const name = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "a Kubernetes name such as vision-trainers");
const texts = z.record(z.string(), z.string());
const seconds = (initial: number) => z.number().int().min(1).max(2_592_000).default(initial);

const Toleration = z.strictObject({
  key: z.string().optional(),
  operator: z.enum(["Exists", "Equal"]).optional(),
  value: z.string().optional(),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"]).optional(),
  tolerationSeconds: z.number().int().optional(),
});

const Cache = z.discriminatedUnion("kind", [
  /** Each attempt its own, gone with its pod. */
  z.strictObject({ kind: z.literal("empty"), size: quantity.default("50Gi") }),
  /** A claim that many pods may write at once (ReadWriteMany, or ReadWriteOnce on a single node). */
  z.strictObject({ kind: z.literal("claim"), claim: name }),
]);

const KubernetesSettings = z.strictObject({
  service_account: name.default("vision-platform-trainer"),
  image_pull_policy: z.enum(["IfNotPresent", "Always", "Never"]).default("IfNotPresent"),
  image_pull_secrets: z.array(name).default([]),
  /** What a trainer may take; the worker's own limits (memory, cores) go before these. */
  limits: z.record(z.string(), quantity).default({ cpu: "2", memory: "8Gi" }),
  /** What it is promised; default: as much as it may take. */
  requests: z.record(z.string(), quantity).optional(),
  /** The resource that stands for one GPU, such as nvidia.com/gpu or nvidia.com/mig-1g.10gb; null: trainers get none. */
  gpu_resource: z.string().min(3).nullable().default(null),
  work_size: quantity.default("20Gi"),
  tmp_size: quantity.default("10Gi"),
  cache: Cache.default({ kind: "empty", size: "50Gi" }),
  node_selector: texts.default({}),
  tolerations: z.array(Toleration).default([]),
  priority_class: name.optional(),
  runtime_class: name.optional(),
  /** The local queue of Kueue that admits the Jobs. */
  queue_name: name.optional(),
  labels: texts.default({}),
  annotations: texts.default({}),
  /** How long a finished Job stays for a worker that was away. */
  ttl_s: seconds(3_600),
  /** How long a pod may wait for a node (or its queue, or a quota) before the attempt fails. */
  unschedulable_limit_s: seconds(3_600),
  /** How long pulls of an image may fail before the attempt fails. */
  image_limit_s: seconds(120),
  /** How long a pod may take on its node, pulls that go well included. */
  start_limit_s: seconds(3_600),
  /** How long a node may be away before its trainer counts as lost. */
  node_lost_after_s: seconds(60),
  /** Bytes of a trainer's log that are kept; of the rest its end. */
  log_limit_bytes: z.number().int().min(65_536).default(67_108_864),
});
export type KubernetesSettings = z.output<typeof KubernetesSettings>;

/** Settings from what a file holds. Throws ConfigError with a line for each wrong field. */
export function parseSettings(given: unknown, from: string): KubernetesSettings {
  const parsed = KubernetesSettings.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `${issue.path.join(".") || "the file"}: ${issue.message}`);
  throw new ConfigError(`worker (${from})`, lines);
}

/** Reads KUBERNETES_SETTINGS_FILE; without one everything is at its default. Throws ConfigError. */
export function readSettings(file: string | undefined): KubernetesSettings {
  if (file === undefined) return parseSettings({}, "KUBERNETES_SETTINGS_FILE");
  let given: unknown;
  try {
    given = loadYaml(readFileSync(file, "utf8"));
  } catch (error) {
    throw new ConfigError("worker", [`KUBERNETES_SETTINGS_FILE: ${file} is no readable YAML: ${String(error)}`]);
  }
  return parseSettings(given, file);
}
