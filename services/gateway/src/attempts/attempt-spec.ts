/** What a worker is told of an attempt that it has got. */
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { checkpointPointerKey, s3Uri } from "@vision-platform/contracts/names";
import type { AttemptRow, JobRow } from "../db/schema.ts";
import type { JobsGateway } from "../jobs/job-parts.ts";

/** Longer than any training; the fence ends its use together with the attempt. */
const CALLBACK_TTL_S = 60 * 24 * 3600;

/** Without the pretrained weights, which are looked for in the storage (weights.ts). */
export function attemptSpec(
  gateway: Pick<JobsGateway, "tokens" | "config">,
  job: JobRow,
  row: AttemptRow,
  lease: { lease_token: string; last_log_offset: number },
): AttemptSpec {
  const { id: job_id, project_id, attempt, kind, framework, model_name, task_type, dataset_id, dataset_version } = job;
  const { epochs, batch_size, learning_rate, seed, gpus, config, trace_id, traceparent } = job;
  return {
    ...{ job_id, project_id, attempt, kind, framework, model_name, task_type, dataset_id, dataset_version },
    ...{ epochs, batch_size, learning_rate, seed, gpus, config, trace_id, traceparent },
    gpu_ids: row.gpu_ids,
    resume_uri: row.resume_uri,
    pretrained_uri: null,
    model_uri: modelUri(gateway, job),
    callback_token: gateway.tokens.mintCallbackToken({ job_id, attempt, ttl_s: CALLBACK_TTL_S }),
    terminal: row.terminal_event,
    last_src_seq: row.last_src_seq,
    last_worker_seq: row.last_worker_seq,
    ...lease,
  };
}

/** Where a derived job finds its model: the pointer, so that it gets the newest checkpoint of that kind. */
function modelUri({ config }: Pick<JobsGateway, "config">, { source_job_id, checkpoint }: JobRow): string | null {
  if (source_job_id === null || checkpoint === null) return null;
  return s3Uri(config.STORAGE_BUCKET, checkpointPointerKey(source_job_id, checkpoint));
}
