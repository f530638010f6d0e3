/** What the Kubernetes launcher must be told; read in the worker's config.ts. */
import { z } from "zod";

export const kubernetesSettings = {
  KUBERNETES_SETTINGS_FILE: z
    .string()
    .min(1)
    .optional()
    .describe("a YAML or JSON file with the settings of trainers in Kubernetes"),
  KUBERNETES_NAMESPACE: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/)
    .optional()
    .describe("the namespace in which trainers run, such as vision-trainers"),
  KUBERNETES_INSTANCE: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/)
    .default("default")
    .describe("this platform's name where several share a namespace, such as default or team-a"),
} satisfies z.ZodRawShape;
