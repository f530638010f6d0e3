/** Watches a job, prints how it ended, and answers with the exit code that says the same. */
import { type Job, listJobArtifacts } from "@vision-platform/contracts/api/jobs";
import { EXIT, exitCodeOf } from "../exit-codes.ts";
import { duration, plain } from "../output/format.ts";
import { metricTexts } from "../output/metrics.ts";
import type { Output } from "../output/output.ts";
import type { Session } from "../session/session.ts";
import { watchJob } from "./watch-job.ts";

/** `job 6 SUCCEEDED in 42 s`, then metrics, or the failure and what can be done about it. */
export function endLines(job: Job): string[] {
  const took =
    job.started_at === null || job.finished_at === null
      ? ""
      : ` in ${duration((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000)}`;
  const metrics = metricTexts(job.metrics, job.primary_metric);
  const lines = [`job ${job.id} ${job.state}${took}${metrics.length > 0 ? `: ${metrics.join("  ")}` : ""}`];
  if (job.failure !== null) {
    lines.push(`  ${job.failure.code}: ${plain(job.failure.message)}`);
    if (job.failure.hint !== undefined) lines.push(`  ${plain(job.failure.hint)}`);
  }
  return lines;
}

/** What came out of a job that is over, and what to do with it. */
async function printResult(session: Session, output: Output, job: Job): Promise<void> {
  if (job.state === "FAILED") return output.note(`./vp jobs logs ${job.id}`);
  const { items } = await session.call(listJobArtifacts, { params: { job_id: job.id } }).catch(() => ({ items: [] }));
  if (items.length === 0) return;
  if (job.source_job_id !== null) {
    const { resultLines } = await import("./results.ts");
    for (const line of await resultLines(job, items)) output.line(line);
  }
  output.note(`${items.length} ${items.length === 1 ? "file" : "files"}: ./vp jobs download ${job.id}`);
}

/** Rejects like watchJob. */
export async function watchToEnd(session: Session, output: Output, jobId: number, after?: number): Promise<number> {
  const job = await watchJob(session, output, jobId, after);
  if (job === undefined) {
    output.note(`job ${jobId} goes on; come back with: ./vp jobs watch ${jobId}`);
    return EXIT.interrupted;
  }
  output.record(job);
  for (const line of endLines(job)) output.line(line);
  if (!output.json) await printResult(session, output, job);
  return exitCodeOf(job.state);
}
