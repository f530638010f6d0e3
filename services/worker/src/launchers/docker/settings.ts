/** What the Docker launcher must be told; read in the worker's config.ts. */
import { resolve } from "node:path";
import { z } from "zod";

export const dockerSettings = {
  DOCKER_AGENT_SOCKET: z
    .string()
    .min(1)
    .transform((path) => resolve(path))
    .optional()
    .describe("the path of the docker agent's socket"),
} satisfies z.ZodRawShape;
