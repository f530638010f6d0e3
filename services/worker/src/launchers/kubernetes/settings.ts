/** What the Kubernetes launcher must be told; read in the worker's config.ts. */
import { z } from "zod";
import { platformInstance } from "../platform-instance.ts";

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
  PLATFORM_INSTANCE: platformInstance,
} satisfies z.ZodRawShape;
