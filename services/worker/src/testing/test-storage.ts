/** The storage of the test run. */
import type { S3Client } from "@aws-sdk/client-s3";
import { createS3Client } from "@vision-platform/common/s3";
import { testServices } from "./config.ts";

/** A client for the storage of the test run. */
export function testStorage(bucket: string): S3Client {
  const services = testServices();
  return createS3Client({
    STORAGE_TYPE: "s3",
    STORAGE_BUCKET: bucket,
    S3_ENDPOINT: services.TEST_S3_ENDPOINT,
    S3_REGION: "us-east-1",
    S3_FORCE_PATH_STYLE: true,
    S3_ACCESS_KEY_ID: services.TEST_S3_ACCESS_KEY_ID,
    S3_SECRET_ACCESS_KEY: services.TEST_S3_SECRET_ACCESS_KEY,
  });
}
