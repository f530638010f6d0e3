/** Ends containers that ran longer than they may, for the time when no worker is there to do it, and those never started. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@vision-platform/common/logger";
import type { Containers } from "./containers.ts";

const EVERY_MS = 30_000;
const UNSTARTED_LIMIT_MS = 600_000;

/** Until `signal` is aborted. Never rejects: what fails now is tried again with the next round. */
export async function sweep(containers: Containers, signal: AbortSignal, logger: Logger): Promise<void> {
  while (!signal.aborted) {
    await endOverdue(containers, logger).catch((error: unknown) => logger.warn({ err: error }, "sweep failed"));
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** One round: SIGKILL for every running container whose time is over; what was never started is removed. */
async function endOverdue(containers: Containers, logger: Logger): Promise<void> {
  for (const { id, state } of await containers.list()) {
    if (state === "ended") continue;
    const { info, labels } = await containers.own(id);
    if (state === "made") {
      // Between making and starting an agent was killed: nobody will start it any more.
      if (Date.now() - Date.parse(info.Created) > UNSTARTED_LIMIT_MS) await containers.remove(id);
      continue;
    }
    const ranS = (Date.now() - Date.parse(info.State.StartedAt)) / 1000;
    if (ranS < labels.max_runtime_s) continue;
    logger.warn({ ...labels, ran_s: Math.round(ranS) }, "the container ran longer than it may: killed");
    await containers.signal(id, "SIGKILL");
  }
}
