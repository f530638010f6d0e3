/** What notifiers ask: who may listen, how far each job is, and the events a client missed. */
import { notFound } from "@vision-platform/common/app-error";
import { checkSubscriptions, replayEvents } from "@vision-platform/contracts/api/internal";
import { readEvents } from "../events/event-log.repository.ts";
import type { Routes } from "../http/router.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { findJob } from "../jobs/jobs.repository.ts";
import { type Asked, headsOf, type Membership, membershipsOf } from "./subscriptions.repository.ts";

/** Binds the operations of notifiers. */
export function subscriptionsRoutes(routes: Routes, gateway: JobsGateway): void {
  routes.add(checkSubscriptions, async ({ body }) => {
    const { subscriptions } = body;
    const memberships = subscriptions.length === 0 ? [] : await membershipsOf(gateway.db, subscriptions);
    const results = memberships.map(answer);
    const allowed = subscriptions.filter((_, place) => results[place]?.status === "ok");
    return { results, heads: await headsOf(gateway.db, idsOf(allowed, "job_id"), idsOf(allowed, "project_id")) };
  });
  routes.add(replayEvents, async ({ params, query }) => {
    const job = await findJob(gateway.db, params.job_id);
    if (!job) throw notFound("Training job not found");
    const items = await readEvents(gateway.db, job, query);
    return { items, head: Math.max(job.last_seq, items.at(-1)?.seq ?? 0) };
  });
}

function answer({ project_id, role, is_admin }: Membership) {
  if (project_id === null) return { status: "not_found" as const, role: null };
  if (role === null && !is_admin) return { status: "forbidden" as const, role: null };
  return { status: "ok" as const, role: role ?? ("owner" as const) };
}

/** A subscription that names a job is about that job alone. */
function idsOf(allowed: readonly Asked[], name: "job_id" | "project_id"): number[] {
  const ids = allowed.map((item) => (name === "project_id" && item.job_id !== undefined ? undefined : item[name]));
  return [...new Set(ids.filter((id) => id !== undefined))];
}
