/** Pretrained weights that an operator has placed in the storage. */
import { HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { s3Uri, WEIGHTS_SUFFIXES, weightsPrefix } from "@vision-platform/contracts/names";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { findObject } from "../jobs/stored-objects.ts";

/**
 * The address of the model's weights when the job asks for pretrained ones and they are there; of several files the one
 * whose format comes first. Else null, and the trainer says what to do. A storage that does not answer is no reason to
 * refuse the claim.
 */
export async function findWeights(
  { s3, config, logger }: Pick<JobsGateway, "s3" | "config" | "logger">,
  spec: Pick<AttemptSpec, "framework" | "model_name" | "config">,
): Promise<string | null> {
  if (spec.config.pretrained !== true) return null;
  try {
    const key = await firstWeights(s3, config.STORAGE_BUCKET, spec);
    return key === undefined ? null : s3Uri(config.STORAGE_BUCKET, key);
  } catch (error) {
    logger.warn({ err: error, model_name: spec.model_name }, "the storage does not tell of weights");
    return null;
  }
}

/** The key of the file that trainings of this model load; undefined without one. Rejects with 503. */
export async function firstWeights(
  s3: S3Client,
  Bucket: string,
  { framework, model_name }: Pick<AttemptSpec, "framework" | "model_name">,
): Promise<string | undefined> {
  const keys = WEIGHTS_SUFFIXES.map((suffix) => `${weightsPrefix(framework, model_name)}${suffix}`);
  const heads = await Promise.all(keys.map((Key) => findObject(() => s3.send(new HeadObjectCommand({ Bucket, Key })))));
  return keys.find((_, place) => heads[place] !== undefined);
}
