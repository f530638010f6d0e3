/** Every name that two processes must agree on: Redis keys, queue names, S3 prefixes. */

export const BULLMQ_PREFIX = "vp";
export const OUT_SHARDS = 8;
export const OUT_STREAM_MAXLEN = 20_000;
export const CONTROL_CHANNEL = "vp:ctl";

/** A custom BullMQ id may hold no colon and not be an integer. */
export function queueName(framework: string): string {
  return `train-${framework}`;
}

export function queueJobId(jobId: number, attempt: number): string {
  return `job-${jobId}-a${attempt}`;
}

/** The one stream an attempt's trainer may write to. */
export function inStream(jobId: number, attempt: number): string {
  return `vp:in:{${jobId}}:a${attempt}`;
}

/** The Redis ACL user of an attempt's trainer. */
export function streamUser(jobId: number, attempt: number): string {
  return `vp-job-${jobId}-a${attempt}`;
}

/** Committed events of a job are appended here. */
export function outStream(jobId: number): string {
  return `vp:out:${jobId % OUT_SHARDS}`;
}

export function outStreams(): string[] {
  return Array.from({ length: OUT_SHARDS }, (_, shard) => `vp:out:${shard}`);
}

export function s3Uri(bucket: string, key: string): string {
  return `s3://${bucket}/${key}`;
}

/** Bucket and key of an s3:// address. Throws on any other address. */
export function parseS3Uri(uri: string): { bucket: string; key: string } {
  const match = /^s3:\/\/([^/]+)\/(.*)$/.exec(uri);
  if (!match?.[1] || match[2] === undefined) throw new Error(`not an s3:// address: ${uri}`);
  return { bucket: match[1], key: match[2] };
}

export function datasetPrefix(datasetId: number, version: number): string {
  return `datasets/${datasetId}/v${version}/`;
}

export function jobPrefix(jobId: number): string {
  return `jobs/${jobId}/`;
}

export function checkpointsPrefix(jobId: number): string {
  return `${jobPrefix(jobId)}checkpoints/`;
}

/** The pointer to a checkpoint of a training: what evaluate, predict and export start from (MODEL_URI). */
export function checkpointPointerKey(jobId: number, which: "best" | "last"): string {
  return `${checkpointsPrefix(jobId)}${which}.json`;
}

export function attemptLogKey(jobId: number, attempt: number): string {
  return `${jobPrefix(jobId)}attempts/${attempt}/log.txt`;
}

export function resultKey(jobId: number): string {
  return `${jobPrefix(jobId)}RESULT.json`;
}

/** A single image that a predict job of this training shall look at. */
export function imageKey(jobId: number, imageId: string): string {
  return `${jobPrefix(jobId)}images/${imageId}`;
}

/** File formats of pretrained weights, the preferred first. The first needs no unpickling. */
export const WEIGHTS_SUFFIXES = [".safetensors", ".tar", ".pt", ".pth", ".pdparams"] as const;

/** Where an operator places a model's pretrained weights; what follows is one of WEIGHTS_SUFFIXES. */
export function weightsPrefix(framework: string, modelName: string): string {
  return `weights/${framework}/${modelName}`;
}

export function uploadKey(uploadId: string, filename: string): string {
  return `uploads/${uploadId}/${filename}`;
}
