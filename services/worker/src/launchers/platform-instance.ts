/** The platform's own name, where several share one engine or one namespace: none touches the trainers of another. */
import { z } from "zod";
import type { AttemptIds } from "./launcher.ts";

/** With it names are plain; what is made under another name has that in front. */
export const USUAL_INSTANCE = "vision-platform";

/** The setting PLATFORM_INSTANCE; it becomes a part of names and the value of a label. */
export const platformInstance = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?$/)
  .default(USUAL_INSTANCE)
  .describe("this platform's name on its engine or in its namespace: up to 31 small letters, digits and inner dashes");

/** Of the container or the Job of an attempt: `vp-<job>-a<attempt>`, or `vp-<instance>-<job>-a<attempt>`. */
export function attemptObjectName(instance: string, { job_id, attempt }: AttemptIds): string {
  return `vp-${instance === USUAL_INSTANCE ? "" : `${instance}-`}${job_id}-a${attempt}`;
}
