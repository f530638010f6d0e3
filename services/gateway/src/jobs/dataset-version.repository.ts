/** What an ingest job leaves of its dataset version: READY with a summary, or INVALID with findings. */
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { Finding, TrainerResult } from "@vision-platform/contracts/storage-manifests";
import type { Db } from "../db/db.ts";
import type { JobRow } from "../db/schema.ts";

/** A version is READY only by a succeeded job whose result describes it; a version without a verdict gets one in words. */
export async function closeDatasetVersion(db: Db, job: JobRow, result: TrainerResult | undefined): Promise<void> {
  if (!isTerminal(job.state)) throw new Error(`job ${job.id} is not over`);
  const ready = job.state === "SUCCEEDED" && result?.dataset !== undefined;
  const findings = [...(result?.findings ?? [])];
  const counts = { ...(result?.finding_counts ?? countOf(findings)) };
  if (!ready && counts.error === 0) {
    findings.unshift(verdict(job));
    counts.error += 1;
  }
  await db
    .updateTable("dataset_versions")
    .set({
      state: ready ? "READY" : "INVALID",
      summary: result?.dataset === undefined ? null : JSON.stringify(result.dataset),
      findings: JSON.stringify(findings),
      finding_counts: JSON.stringify(counts),
    })
    .where("job_id", "=", job.id)
    .where("state", "=", "INGESTING")
    .execute();
}

function countOf(findings: readonly Finding[]): { error: number; warning: number } {
  const error = findings.filter((finding) => finding.severity === "error").length;
  return { error, warning: findings.length - error };
}

function verdict(job: JobRow): Finding {
  if (job.state === "CANCELLED") {
    return {
      severity: "error",
      code: "INGEST_CANCELLED",
      file: null,
      reason: "The check of the upload was cancelled.",
    };
  }
  const why = job.failure?.message ?? "the check ended without a result";
  return {
    severity: "error",
    code: "INGEST_FAILED",
    file: null,
    reason: `The upload could not be checked: ${why}`.slice(0, 1000),
  };
}
