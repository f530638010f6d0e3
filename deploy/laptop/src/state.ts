import { readFileSync } from "node:fs";
import { z } from "zod";
import { writePrivately } from "./secrets.ts";

const part = z.object({
  name: z.string(),
  address: z.string(),
  /** Null while it is not running. */
  pid: z.number().int().nullable(),
  start_time: z.string(),
  /** Null when it is ready, else the reason why not. */
  waiting_for: z.string().nullable(),
  restarts: z.number().int(),
  last_exit: z.string().nullable(),
});

const schema = z.object({
  gateway_url: z.string(),
  notifier_url: z.string(),
  started_at: z.string(),
  supervisor: z.object({ name: z.string(), pid: z.number().int(), start_time: z.string() }),
  processes: z.array(part),
});

/** What `.vp/state.json` tells about the running platform. Written by the supervisor alone. */
export type PlatformState = z.infer<typeof schema>;
export type PartState = z.infer<typeof part>;

/** The state, or null when there is none that can be read. */
export function readState(file: string): PlatformState | null {
  try {
    const parsed = schema.safeParse(JSON.parse(readFileSync(file, "utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

export function writeState(file: string, state: PlatformState): void {
  writePrivately(file, `${JSON.stringify(state, null, 2)}\n`);
}
