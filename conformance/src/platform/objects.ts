/** What lies in the storage, as the kit reads and prepares it: past the trainer's own door. */
import { createHash } from "node:crypto";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { createS3Client } from "@vision-platform/common/s3";
import { parseS3Uri, s3Uri } from "@vision-platform/contracts/names";
import type { Servers } from "./servers.ts";

export interface Objects {
  bucket: string;
  /** null when there is no such object. */
  get(key: string): Promise<Buffer | null>;
  put(key: string, content: Buffer | string): Promise<void>;
  delete(key: string): Promise<void>;
  /** Every key that begins with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
  uri(key: string): string;
  /** The key of an address in this bucket; null for any other address. */
  key(uri: string): string | null;
  close(): void;
}

export function sha256(content: Buffer | string): string {
  return createHash("sha256").update(content).digest("hex");
}

export function createObjects(servers: Servers): Objects {
  const { bucket, endpoint, accessKeyId, secretAccessKey } = servers.s3;
  const client = createS3Client({
    STORAGE_TYPE: "s3",
    STORAGE_BUCKET: bucket,
    S3_ENDPOINT: endpoint,
    S3_REGION: "us-east-1",
    S3_FORCE_PATH_STYLE: true,
    S3_ACCESS_KEY_ID: accessKeyId,
    S3_SECRET_ACCESS_KEY: secretAccessKey,
  });
  return {
    bucket,
    async get(key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
        return Buffer.from((await Body?.transformToByteArray()) ?? []);
      } catch (error) {
        if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404) return null;
        throw error;
      }
    },
    async put(key, content) {
      const Metadata = { sha256: sha256(content) };
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: content, Metadata }));
    },
    async delete(key) {
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    },
    async list(prefix) {
      const keys: string[] = [];
      let token: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }),
        );
        keys.push(...(page.Contents ?? []).map((entry) => entry.Key ?? ""));
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token);
      return keys.sort();
    },
    uri: (key) => s3Uri(bucket, key),
    key(uri) {
      try {
        const found = parseS3Uri(uri);
        return found.bucket === bucket ? found.key : null;
      } catch {
        return null;
      }
    },
    close: () => client.destroy(),
  };
}
