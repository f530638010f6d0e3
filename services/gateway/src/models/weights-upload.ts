/** Pretrained weights on their way into the storage: trainers load these files, so only administrators bring them. */
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { conflict, forbidden, notFound } from "@vision-platform/common/app-error";
import type { createWeightsUpload } from "@vision-platform/contracts/api/models";
import type { BodyOf, ParamsOf, ResponseOf } from "@vision-platform/contracts/api/operation";
import { s3Uri, WEIGHTS_SUFFIXES, weightsPrefix } from "@vision-platform/contracts/names";
import { firstWeights } from "../attempts/weights.ts";
import type { Gateway } from "../gateway.ts";
import type { Principal } from "../http/access.ts";

const VALID_S = 6 * 3600;
const SHA256_HEADER = "x-amz-meta-sha256";

/**
 * A presigned PUT that is good only together with the file's hash. Rejects: 403 no administrator, 404 no such model, 409
 * when a file in a preferred format is there, which trainings would go on to load.
 */
export async function beginWeightsUpload(
  { catalogue, s3, publicS3, config }: Pick<Gateway, "catalogue" | "s3" | "publicS3" | "config">,
  user: Principal,
  { framework, model_name }: ParamsOf<typeof createWeightsUpload>,
  { suffix, sha256 }: BodyOf<typeof createWeightsUpload>,
): Promise<ResponseOf<typeof createWeightsUpload>> {
  if (!user.is_admin) throw forbidden("Only administrators add weights: trainers load these files", "not_admin");
  if (catalogue.manifest(framework) === undefined) throw notFound(`There is no framework ${framework}`);
  if (catalogue.model(framework, model_name) === undefined) throw notFound(`${framework} has no model ${model_name}`);
  const Key = `${weightsPrefix(framework, model_name)}${suffix}`;
  const first = await firstWeights(s3, config.STORAGE_BUCKET, { framework, model_name });
  if (first !== undefined && rank(first) < rank(Key)) {
    throw conflict(`${first} is in the storage and comes first: remove it there before`, "preferred_weights_exist");
  }
  const command = new PutObjectCommand({ Bucket: config.STORAGE_BUCKET, Key, Metadata: { sha256 } });
  // In the query the hash would not become the object's metadata everywhere.
  const url = await getSignedUrl(publicS3, command, {
    expiresIn: VALID_S,
    unhoistableHeaders: new Set([SHA256_HEADER]),
  });
  return {
    url,
    headers: { [SHA256_HEADER]: sha256 },
    uri: s3Uri(config.STORAGE_BUCKET, Key),
    expires_at: new Date(Date.now() + VALID_S * 1000).toISOString(),
  };
}

function rank(key: string): number {
  return WEIGHTS_SUFFIXES.findIndex((suffix) => key.endsWith(suffix));
}
