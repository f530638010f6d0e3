/** What a job has left to read: events, curves, log lines, files. */
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import type * as operations from "@vision-platform/contracts/api/jobs";
import type { QueryOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { attemptLogKey, parseS3Uri } from "@vision-platform/contracts/names";
import { readEvents } from "../events/event-log.repository.ts";
import { listArtifacts } from "./artifacts.repository.ts";
import type { JobsGateway } from "./job-parts.ts";
import { listLogFiles } from "./job-records.repository.ts";
import { type Caller, requireJob } from "./jobs.service.ts";
import { readSeries } from "./metric-series.repository.ts";

type Reader = Pick<Caller, "db" | "user">;

/** Seconds that a download's address is good for. */
const DOWNLOAD_TTL_S = 3600;

/** The newest seq a reader knows of; events may have been committed since the job's row was read. */
function headOf(last_seq: number, items: readonly JobEvent[]): number {
  return Math.max(last_seq, items.at(-1)?.seq ?? 0);
}

/** A page of the log, and how far the log goes. Throws what requireJob throws. */
export async function jobEvents(reader: Reader, job_id: number, query: QueryOf<typeof operations.listJobEvents>) {
  const job = await requireJob(reader, job_id, "viewer");
  const items = await readEvents(reader.db, job, query);
  return { items, head: headOf(job.last_seq, items) };
}

/** A series for each metric's name, oldest point first; null stands for a value that is not finite. Throws what requireJob throws. */
export async function jobMetrics(
  reader: Reader,
  job_id: number,
  query: QueryOf<typeof operations.listJobMetrics>,
): Promise<ResponseOf<typeof operations.listJobMetrics>> {
  const job = await requireJob(reader, job_id, "viewer");
  const series: ResponseOf<typeof operations.listJobMetrics>["series"] = {};
  for (const { name, ts, ...point } of await readSeries(reader.db, job_id, query)) {
    const points = series[name] ?? [];
    points.push({ ...point, ts: ts.toISOString() });
    series[name] = points;
  }
  return { series, head: job.last_seq };
}

/** Lines of the event log, and addresses of the whole logs of ended attempts. Throws what requireJob throws. */
export async function jobLogs(
  gateway: JobsGateway,
  reader: Reader,
  job_id: number,
  query: QueryOf<typeof operations.listJobLogs>,
) {
  const job = await requireJob(reader, job_id, "viewer");
  const events = await readEvents(reader.db, job, { ...query, type: "log" });
  const items = events.map(({ seq, ts, attempt, data }) => ({
    seq,
    ts,
    attempt,
    level: String(data.level),
    message: String(data.message),
  }));
  const files = await Promise.all(
    (await listLogFiles(reader.db, job_id)).map(async ({ attempt, log_bytes }) => {
      const url = await downloadUrl(
        gateway,
        attemptLogKey(job_id, attempt),
        `job-${job_id}-attempt-${attempt}.log.txt`,
      );
      return { attempt, bytes: log_bytes, url };
    }),
  );
  return { items, head: headOf(job.last_seq, events), files };
}

/** Addresses to download from for an hour. Throws what requireJob throws. */
export async function jobArtifacts(gateway: JobsGateway, reader: Reader, job_id: number) {
  await requireJob(reader, job_id, "viewer");
  const expires_at = new Date(Date.now() + DOWNLOAD_TTL_S * 1000).toISOString();
  const items = await Promise.all(
    (await listArtifacts(reader.db, job_id)).map(async (artifact) => {
      const name = artifact.name.split("/").at(-1) ?? artifact.name;
      return { ...artifact, url: await downloadUrl(gateway, parseS3Uri(artifact.uri).key, name), expires_at };
    }),
  );
  return { items };
}

/** A presigned GET that browsers save under `filename` instead of showing it. */
async function downloadUrl(gateway: JobsGateway, key: string, filename: string): Promise<string> {
  // Plain ASCII without quotes in it: s3rver signs the extended form (filename*=) otherwise than the SDK does.
  const plain = filename.replace(/[^\w.-]+/g, "_");
  const command = new GetObjectCommand({
    Bucket: gateway.config.STORAGE_BUCKET,
    Key: key,
    ResponseContentDisposition: `attachment; filename="${plain}"`,
  });
  return await getSignedUrl(gateway.publicS3, command, { expiresIn: DOWNLOAD_TTL_S });
}
