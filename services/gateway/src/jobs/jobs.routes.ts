/** /api/v1/training/jobs */
import * as operations from "@vision-platform/contracts/api/jobs";
import type { Request } from "express";
import type { Routes } from "../http/router.ts";
import { createDerivedJob } from "./derived-jobs.service.ts";
import { createImageUploads } from "./image-uploads.ts";
import type { JobsGateway } from "./job-parts.ts";
import { jobArtifacts, jobEvents, jobLogs, jobMetrics } from "./job-records.service.ts";
import { streamJob } from "./job-stream.ts";
import { cancelJob, createJob, findJobs, getJob, patchJob, requireJob, startJob } from "./jobs.service.ts";

/** Binds the operations of people on jobs. */
export function jobsRoutes(routes: Routes, gateway: JobsGateway): void {
  routes.add(operations.createJob, async (context) => await createJob(gateway, context, context.body));
  routes.add(
    operations.createDerivedJob,
    async (context) => await createDerivedJob(gateway, context, context.params.job_id, context.body),
  );
  routes.add(
    operations.createImageUploads,
    async (context) => await createImageUploads(gateway, context, context.params.job_id, context.body.files),
  );
  routes.add(operations.startJob, async (context) => await startJob(gateway, context, context.params.job_id));
  routes.add(operations.cancelJob, async (context) => await cancelJob(gateway, context, context.params.job_id));
  routes.add(operations.getJob, async (context) => await getJob(context, context.params.job_id));
  routes.add(operations.listJobs, async (context) => await findJobs(context, context.query));
  routes.add(operations.updateJob, async (context) => await patchJob(context, context.params.job_id, context.body));
  routes.add(
    operations.listJobEvents,
    async (context) => await jobEvents(context, context.params.job_id, context.query),
  );
  routes.add(
    operations.listJobMetrics,
    async (context) => await jobMetrics(context, context.params.job_id, context.query),
  );
  routes.add(
    operations.listJobLogs,
    async (context) => await jobLogs(gateway, context, context.params.job_id, context.query),
  );
  routes.add(
    operations.listJobArtifacts,
    async (context) => await jobArtifacts(gateway, context, context.params.job_id),
  );
  routes.add(operations.streamJobEvents, async (context) => {
    const { params, query, request, response, user } = context;
    const job = await requireJob(context, params.job_id, "viewer");
    const stillAllowed = async () => {
      if (user.token_expires_at !== null && user.token_expires_at.getTime() < Date.now())
        throw new Error("the token has expired");
      await requireJob(context, params.job_id, "viewer");
    };
    await streamJob(gateway, { job, after: lastSeen(request) ?? query.after ?? 0, response, stillAllowed });
    return undefined as never;
  });
}

/** `Last-Event-ID`, as an EventSource sends it when it comes back. */
function lastSeen(request: Request): number | undefined {
  const id = request.get("last-event-id");
  return id !== undefined && /^\d{1,10}$/.test(id) ? Number(id) : undefined;
}
