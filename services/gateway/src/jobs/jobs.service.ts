/** What people do with jobs: create, start, cancel, look up, label. */
import { badRequest, invalid, notFound } from "@vision-platform/common/app-error";
import type { Trace } from "@vision-platform/common/trace";
import type { Job, listJobs as listJobsOperation } from "@vision-platform/contracts/api/jobs";
import type { QueryOf } from "@vision-platform/contracts/api/operation";
import type { Role } from "@vision-platform/contracts/api/projects";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { z } from "zod";
import { recordEnd } from "../attempts/attempts.repository.ts";
import type { Db } from "../db/db.ts";
import type { JobRow } from "../db/schema.ts";
import type { Dispatch } from "../dispatch/dispatcher.ts";
import { type Announcements, nothingSaid } from "../events/announcements.ts";
import { type Page, pageFrom, readCursor } from "../http/page.ts";
import type { Principal } from "../http/router.ts";
import { requireRole, roleAtLeast } from "../projects/authorization.ts";
import { inTransaction } from "./in-transaction.ts";
import type { JobsGateway } from "./job-parts.ts";
import { checkSpec, type JobRequest, textErrors } from "./job-spec.ts";
import { presentJob, presentJobs, presentNewJob } from "./job-view.repository.ts";
import { findAdmission, findJob, type JobLabels, listJobs, requestCancel, updateLabels } from "./jobs.repository.ts";
import { insertJob, transition } from "./transition.repository.ts";

/** What a service function takes of the request. */
export interface Caller {
  db: Db;
  user: Principal;
  afterCommit(effect: () => void | Promise<void>): void;
}

/** The job, if the caller has `role` in its project. Throws 404 `Training job not found`, 403. */
export async function requireJob(
  { db, user }: Pick<Caller, "db" | "user">,
  job_id: number,
  role: Role,
): Promise<JobRow> {
  const job = await findJob(db, job_id);
  if (!job) throw notFound("Training job not found");
  await requireRole(db, user, job.project_id, role);
  return job;
}

/** What the queue is told of a job's newest attempt. */
export function dispatchOf(job: JobRow): Dispatch {
  return { job_id: job.id, attempt: job.attempt, framework: job.framework, traceparent: job.traceparent };
}

/** A new training job; with `start` it is queued in the same statement. Throws 403, 404, and 422 with every wrong field. */
export async function createJob(
  gateway: JobsGateway,
  caller: Caller & { trace: Trace },
  request: JobRequest,
): Promise<Job> {
  const { db, user, trace } = caller;
  const admission = await findAdmission(db, user.user_id, request);
  if (!admission) throw notFound("Project not found");
  roleAtLeast(user, admission.role, "editor");
  const { data, waiting } = admission;
  const checked = checkSpec(request, data, gateway.catalogue);
  const { start, ...spec } = request;
  const name = request.name ?? `${request.model_name} on ${data?.name}`.slice(0, 200);
  const { job, events } = await insertJob(
    db,
    { ...spec, ...checked, ...trace, name, kind: "train", created_by: user.user_id },
    start,
  );
  announceNewJob(gateway, caller, job, events);
  return presentNewJob(job, waiting);
}

/** After the commit: the new job's events, and its first attempt if it has one. */
export function announceNewJob(gateway: JobsGateway, caller: Caller, job: JobRow, events: JobEvent[]): void {
  const said = { ...nothingSaid(), events, dispatch: job.state === "QUEUED" ? [dispatchOf(job)] : [] };
  caller.afterCommit(() => gateway.announcer.announce(said));
}

/** Queues a PENDING job. Throws 404, 403, and 400 naming the status that a job cannot be started from. */
export async function startJob(
  gateway: JobsGateway,
  caller: Caller,
  job_id: number,
): Promise<{ message: "Training started"; job_id: number }> {
  await requireJob(caller, job_id, "editor");
  const started = await transition(caller.db, { job_id, attempt: 0, from: "PENDING", to: "QUEUED" });
  if (!started) {
    const now = await findJob(caller.db, job_id);
    throw badRequest(`Cannot start job with status '${now?.state}'`, "wrong_status");
  }
  const said = { ...nothingSaid(), events: [started.event], dispatch: [dispatchOf(started.job)] };
  caller.afterCommit(() => gateway.announcer.announce(said));
  return { message: "Training started", job_id };
}

/**
 * A waiting job is CANCELLED at once, a RUNNING one is asked to save a checkpoint and end. Cancelling again while that goes
 * on is fine. Throws 404, 403, and 400 naming the status of a job that is over.
 */
export async function cancelJob(gateway: JobsGateway, caller: Caller, job_id: number): Promise<Job> {
  await requireJob(caller, job_id, "editor");
  const said = nothingSaid();
  const job = await inTransaction(caller.db, (tx) => cancelInAnyState(tx, job_id, said));
  caller.afterCommit(() => gateway.announcer.announce(said));
  return await presentJob(caller.db, job);
}

/** The state may change between reading and writing it: then it is read again. */
async function cancelInAnyState(tx: Db, job_id: number, said: Announcements): Promise<JobRow> {
  for (;;) {
    const job = await findJob(tx, job_id);
    if (!job) throw notFound("Training job not found");
    if (job.state === "RUNNING") {
      const asked = await requestCancel(tx, job_id);
      if (!asked) continue;
      if (asked.event) said.events.push(asked.event);
      said.cancel.push(job_id);
      return asked.job;
    }
    if (job.state !== "PENDING" && job.state !== "QUEUED") {
      throw badRequest(`Cannot cancel job with status '${job.state}'`, "wrong_status");
    }
    const cancelled = await cancelWaiting(tx, job);
    if (!cancelled) continue;
    said.events.push(cancelled.event);
    if (job.state === "QUEUED") said.withdraw.push(dispatchOf(job));
    return cancelled.job;
  }
}

async function cancelWaiting(tx: Db, job: JobRow) {
  // A RUNNING job may become CANCELLED too, but only by the end of its attempt: name the state that was seen.
  const { id: job_id, attempt } = job;
  const change = { job_id, attempt, from: job.state, to: "CANCELLED", reason: "cancelled by a user" } as const;
  const cancelled = await transition(tx, change);
  if (cancelled && job.state === "QUEUED") {
    const end = { outcome: "cancelled", exit_code: null, failure: undefined, log_bytes: null, revoke: true } as const;
    await recordEnd(tx, { job_id, attempt }, end);
  }
  return cancelled;
}

/** Throws what requireJob throws. */
export async function getJob(caller: Pick<Caller, "db" | "user">, job_id: number): Promise<Job> {
  return await presentJob(caller.db, await requireJob(caller, job_id, "viewer"));
}

/** Changes labels in any state. Throws 404, 403, 422 for text that cannot be stored. */
export async function patchJob(caller: Caller, job_id: number, labels: JobLabels): Promise<Job> {
  const errors = textErrors(labels);
  if (errors.length > 0) throw invalid(errors);
  await requireJob(caller, job_id, "editor");
  return await presentJob(caller.db, await updateLabels(caller.db, job_id, labels));
}

const Position = z.object({ name: z.string(), id: z.int() });

/** Jobs of the caller's projects, or of one project that the caller may read. */
export async function findJobs(
  caller: Pick<Caller, "db" | "user">,
  query: QueryOf<typeof listJobsOperation>,
): Promise<Page<Job>> {
  const { db, user } = caller;
  const { cursor, limit, ...filter } = query;
  if (filter.project_id !== undefined) await requireRole(db, user, filter.project_id, "viewer");
  const member = filter.project_id === undefined ? user.user_id : undefined;
  const after = readCursor(cursor, Position);
  const rows = await listJobs(db, { ...filter, member, after, limit: limit + 1 });
  const page = pageFrom(
    rows,
    limit,
    ({ name, id }) => ({ name, id }),
    (row) => row,
  );
  return { ...page, items: await presentJobs(db, page.items) };
}
