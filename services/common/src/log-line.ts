/** The one format of every log line of services and trainers; docs/observability.md tells people the same. */
import { z } from "zod";

/** Fields beyond these say more about the one line (ms, path, worker_id …). */
export const LogLine = z.looseObject({
  /** UTC, to the millisecond. */
  time: z.iso.datetime(),
  level: z.enum(["debug", "info", "warning", "error"]),
  /** Who wrote it. */
  service: z.enum(["gateway", "notifier", "worker", "docker-agent", "trainer"]),
  message: z.string(),
  /** Stack or traceback, causes included. */
  error: z.string().optional(),
  framework: z.string().optional(),
  trace_id: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
  job_id: z.int().optional(),
  attempt: z.int().optional(),
});
export type LogLine = z.infer<typeof LogLine>;
