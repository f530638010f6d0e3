/** The door of trainers without Redis; the token has named the attempt, and the fence says whether it still counts. */
import { invalid } from "@vision-platform/common/app-error";
import * as callbacks from "@vision-platform/contracts/api/callbacks";
import { TERMINAL_EVENT_TYPES, type TrainerEventHead } from "@vision-platform/contracts/trainer-events";
import { heartbeat, ingest } from "../events/ingest.ts";
import type { AttemptIdentity, Routes } from "../http/router.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";

/** Binds the operations of trainers. */
export function callbacksRoutes(routes: Routes, gateway: JobsGateway): void {
  const take = (attempt: AttemptIdentity, events: TrainerEventHead[]) =>
    ingest(gateway, { ...attempt, source: "trainer", events, allow_gap: false, fence: { door: "callback" } });

  routes.add(
    callbacks.callbackHeartbeat,
    async ({ attempt }) => await heartbeat(gateway, attempt.job_id, attempt.attempt),
  );
  routes.add(callbacks.callbackEvent, async ({ attempt, body }) => await take(attempt, eventsOf(body)));
  routes.add(callbacks.callbackDone, async ({ attempt, body }) => {
    if (!(TERMINAL_EVENT_TYPES as readonly string[]).includes(body.type)) {
      throw invalid([{ pointer: "/type", detail: `one of ${TERMINAL_EVENT_TYPES.join(", ")}` }]);
    }
    return await take(attempt, [body]);
  });
}

function eventsOf(body: TrainerEventHead | { events: TrainerEventHead[] }): TrainerEventHead[] {
  return "events" in body && Array.isArray(body.events) ? body.events : [body as TrainerEventHead];
}
