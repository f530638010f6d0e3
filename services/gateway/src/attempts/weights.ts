/** Pretrained weights that an operator has placed in the storage. */
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { s3Uri, weightsKey } from "@vision-platform/contracts/names";
import type { JobsGateway } from "../jobs/job-parts.ts";

/**
 * The address of the model's weights when the job asks for pretrained ones and they are there; else null, and the trainer
 * says what to do. A storage that does not answer is no reason to refuse the claim.
 */
export async function findWeights(
  { s3, config, logger }: Pick<JobsGateway, "s3" | "config" | "logger">,
  spec: Pick<AttemptSpec, "framework" | "model_name" | "config">,
): Promise<string | null> {
  if (spec.config.pretrained !== true) return null;
  const key = weightsKey(spec.framework, spec.model_name);
  try {
    await s3.send(new HeadObjectCommand({ Bucket: config.STORAGE_BUCKET, Key: key }));
    return s3Uri(config.STORAGE_BUCKET, key);
  } catch (error) {
    logger.info({ err: error, key }, "no pretrained weights in the storage");
    return null;
  }
}
