/** SUCCEEDED means the artifacts are there: reads RESULT.json and checks every object that it names. */
import { GetObjectCommand, HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type { Failure } from "@vision-platform/contracts/failure-codes";
import { datasetPrefix, jobPrefix, parseS3Uri, resultKey } from "@vision-platform/contracts/names";
import { TrainerResult } from "@vision-platform/contracts/storage-manifests";
import type { Artifact } from "@vision-platform/contracts/trainer-events";
import type { AttemptRow, JobRow } from "../db/schema.ts";
import { findObject } from "../jobs/stored-objects.ts";

export interface Storage {
  s3: S3Client;
  bucket: string;
}

export type Verdict = { result: TrainerResult } | { failure: Failure };

const MAX_RESULT_BYTES = 16 * 1024 ** 2;
const PARALLEL_HEADS = 16;

/**
 * The result of an attempt that is said to have succeeded, or why it has not. Rejects with 503 while the storage does not
 * answer: the worker asks again.
 */
export async function judgeSuccess(storage: Storage, job: JobRow, attempt: AttemptRow): Promise<Verdict> {
  const terminal = attempt.terminal_event;
  if (terminal?.type !== "succeeded") {
    const ended = terminal === null ? "without saying that it succeeded" : `with the event '${terminal.type}'`;
    return missing(`The trainer ended ${ended}.`);
  }
  const result = await readResult(storage, job);
  if (!result) return missing(`There is no valid ${resultKey(job.id)} of attempt ${job.attempt}.`);
  if (result.status !== "succeeded") return missing("RESULT.json says that the attempt failed.");
  if (job.kind === "ingest" && !result.dataset) return missing("RESULT.json does not describe the dataset.");
  const wrong = await firstWrong(result.artifacts, (artifact) => flaw(storage, job, artifact));
  return wrong === undefined ? { result } : missing(wrong);
}

/** RESULT.json, if it is one of this job's newest attempt. Rejects with 503 while the storage does not answer. */
export async function readResult({ s3, bucket }: Storage, job: JobRow): Promise<TrainerResult | undefined> {
  const text = await findObject(async () => {
    const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: resultKey(job.id) }));
    if ((object.ContentLength ?? 0) > MAX_RESULT_BYTES) return undefined;
    return await object.Body?.transformToString();
  });
  const parsed = TrainerResult.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { job_id, attempt, kind } = parsed.data;
  return job_id === job.id && attempt === job.attempt && kind === job.kind ? parsed.data : undefined;
}

function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is wrong with an artifact; undefined when it lies in the job's own folder with its size and hash. */
async function flaw({ s3, bucket }: Storage, job: JobRow, artifact: Artifact): Promise<string | undefined> {
  const place = parseS3Uri(artifact.uri);
  const own = [
    jobPrefix(job.id),
    ...(job.kind === "ingest" ? [datasetPrefix(job.dataset_id, job.dataset_version)] : []),
  ];
  if (place.bucket !== bucket || !own.some((prefix) => place.key.startsWith(prefix)) || place.key.includes("/../")) {
    return `The artifact ${artifact.name} lies outside the job's folder.`;
  }
  const head = await findObject(() => s3.send(new HeadObjectCommand({ Bucket: bucket, Key: place.key })));
  if (!head) return `The artifact ${artifact.name} is not in the storage.`;
  if (head.ContentLength !== artifact.bytes) return `The artifact ${artifact.name} has another size than it should.`;
  return head.Metadata?.sha256 === artifact.sha256
    ? undefined
    : `The artifact ${artifact.name} has another hash than it should.`;
}

async function firstWrong(
  artifacts: readonly Artifact[],
  check: (artifact: Artifact) => Promise<string | undefined>,
): Promise<string | undefined> {
  for (let start = 0; start < artifacts.length; start += PARALLEL_HEADS) {
    const answers = await Promise.all(artifacts.slice(start, start + PARALLEL_HEADS).map(check));
    const wrong = answers.find((answer) => answer !== undefined);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function missing(message: string): Verdict {
  return { failure: { code: "RESULT_MISSING", message } };
}
