/** The storage: one client, one bucket. */
import { CreateBucketCommand, HeadBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { StorageSettings } from "./config.ts";

/**
 * An S3 client with bounded waits. `endpoint` overrides the configured one (presigned URLs for people outside).
 */
export function createS3Client(settings: StorageSettings, endpoint: string = settings.S3_ENDPOINT): S3Client {
  const client = new S3Client({
    endpoint,
    region: settings.S3_REGION,
    forcePathStyle: settings.S3_FORCE_PATH_STYLE,
    credentials: { accessKeyId: settings.S3_ACCESS_KEY_ID, secretAccessKey: settings.S3_SECRET_ACCESS_KEY },
    // R2 and older servers know no CRC trailers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 20_000 },
  });
  // s3rver takes the SDK's `/bucket/` for an object named "": drop the slash before the request is signed.
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { path?: string };
      if (request.path !== undefined && request.path.length > 1) request.path = request.path.replace(/\/$/, "");
      return next(args);
    },
    { step: "build", name: "dropTrailingSlash" },
  );
  return client;
}

/** Rejects when the bucket is not there or the storage does not answer. */
export async function checkBucket(client: S3Client, bucket: string): Promise<void> {
  await client.send(new HeadBucketCommand({ Bucket: bucket }));
}

/** Makes the bucket unless it is there. */
export async function ensureBucket(client: S3Client, bucket: string): Promise<void> {
  try {
    await checkBucket(client, bucket);
  } catch (error) {
    if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode !== 404) throw error;
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  }
}
