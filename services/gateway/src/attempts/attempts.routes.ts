/** The workers' side of the internal API, and the workers as people see them. */
import * as internal from "@vision-platform/contracts/api/internal";
import { listWorkers } from "@vision-platform/contracts/api/workers";
import { ingest } from "../events/ingest.ts";
import type { Routes } from "../http/router.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { finishAttempt } from "./attempts.service.ts";
import { adoptAttempt, claimAttempt, releaseAttempt, renewAttempt } from "./leases.service.ts";
import { presentWorkers, recordWorker } from "./workers.repository.ts";

/** Binds the operations of workers. */
export function attemptsRoutes(routes: Routes, gateway: JobsGateway): void {
  routes.add(internal.claimAttempt, async ({ params, body }) => await claimAttempt(gateway, params, body));
  routes.add(internal.adoptAttempt, async ({ params, body }) => await adoptAttempt(gateway, params, body));
  routes.add(internal.releaseLease, async ({ params, body }) => {
    await releaseAttempt(gateway, params, body.lease_token);
    return undefined;
  });
  routes.add(internal.renewLease, async ({ params, body }) => await renewAttempt(gateway, params, body.lease_token));
  routes.add(internal.pushEvents, async ({ params, body }) => {
    const { lease_token, ...batch } = body;
    return await ingest(gateway, { ...params, ...batch, fence: { door: "lease", lease_token } });
  });
  routes.add(internal.finishAttempt, async ({ params, body }) => await finishAttempt(gateway, params, body));
  routes.add(internal.workerHeartbeat, async ({ body }) => {
    await recordWorker(gateway.db, body);
    return undefined;
  });
  routes.add(listWorkers, async ({ db }) => ({ items: await presentWorkers(db) }));
}
