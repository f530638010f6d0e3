/** What the world is told once a transaction is committed. Collected inside it, said after it, lost with a rollback. */
import type { Logger } from "@vision-platform/common/logger";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { CONTROL_CHANNEL } from "@vision-platform/contracts/names";
import type { Redis } from "ioredis";
import type { Dispatch, Dispatcher } from "../dispatch/dispatcher.ts";
import type { AttemptEnds } from "../telemetry/attempt-ends.ts";
import type { EventPublisher } from "./publisher.ts";

export interface Announcements {
  events: JobEvent[];
  /** Attempts that wait for a worker. */
  dispatch: Dispatch[];
  /** Attempts that need no worker any more. */
  withdraw: Dispatch[];
  /** Jobs whose worker should look at its cancel flag now instead of at the next renewal. */
  cancel: number[];
}

/** To be filled inside a transaction. */
export function nothingSaid(): Announcements {
  return { events: [], dispatch: [], withdraw: [], cancel: [] };
}

export interface Announcer {
  /** Never throws and never waits: Postgres holds the truth, and everything said here is derived from it again. */
  announce(said: Announcements): void;
}

/** `redis`: a command connection, for hints about cancels. */
export function createAnnouncer(
  redis: Redis,
  publisher: EventPublisher,
  dispatcher: Dispatcher,
  ends: AttemptEnds,
  logger: Logger,
): Announcer {
  return {
    announce(said) {
      publisher.publish(said.events);
      ends.note(said.events);
      if (said.dispatch.length > 0) dispatcher.dispatch(...said.dispatch);
      for (const work of said.withdraw) dispatcher.withdraw(work);
      if (redis.status !== "ready") return;
      for (const job_id of said.cancel) {
        redis
          .publish(CONTROL_CHANNEL, JSON.stringify({ type: "cancel", job_id }))
          .catch((error: unknown) => logger.debug({ err: error, job_id }, "cancel hint not sent"));
      }
    },
  };
}
