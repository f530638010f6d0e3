/** Pretrained weights that an operator has placed in the storage. */
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import type { AttemptSpec } from "@vision-platform/contracts/api/internal";
import { s3Uri, WEIGHTS_SUFFIXES, weightsPrefix } from "@vision-platform/contracts/names";
import type { JobsGateway } from "../jobs/job-parts.ts";
import { storageStatus } from "../jobs/stored-objects.ts";

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
  const keys = WEIGHTS_SUFFIXES.map((suffix) => `${weightsPrefix(spec.framework, spec.model_name)}${suffix}`);
  const there = await Promise.all(
    keys.map(async (Key) => {
      try {
        await s3.send(new HeadObjectCommand({ Bucket: config.STORAGE_BUCKET, Key }));
        return true;
      } catch (error) {
        if (storageStatus(error) !== 404) logger.warn({ err: error, key: Key }, "the storage does not tell of weights");
        return false;
      }
    }),
  );
  const key = keys.find((_, place) => there[place]);
  return key === undefined ? null : s3Uri(config.STORAGE_BUCKET, key);
}
