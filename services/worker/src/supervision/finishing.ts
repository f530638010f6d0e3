/** Tells the gateway how an attempt ended, for as long as it takes within a bound. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@vision-platform/common/logger";
import { type AttemptApi, type Finish, isFenced, isPassing } from "../attempt-api.ts";

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;

/** `accepted`: the gateway has it. `refused`: it never will (fenced off). `unanswered`: the bound was reached. */
export type FinishAnswer = "accepted" | "refused" | "unanswered";

/** Never rejects. `signal` ends the tries. */
export async function deliverFinish(
  api: AttemptApi,
  finish: Finish,
  signal: AbortSignal,
  logger: Logger,
): Promise<FinishAnswer> {
  for (let delay = FIRST_DELAY_MS; !signal.aborted; delay = Math.min(delay * 2, MAX_DELAY_MS)) {
    try {
      await api.finish(finish, signal);
      return "accepted";
    } catch (error) {
      if (isFenced(error)) return "refused";
      if (!isPassing(error)) {
        logger.error({ err: error, finish }, "the gateway does not understand how the attempt ended");
        return "refused";
      }
      logger.warn({ err: error }, "the end of the attempt is not yet known to the gateway");
      await sleep(delay, undefined, { signal }).catch(() => undefined);
    }
  }
  return "unanswered";
}
