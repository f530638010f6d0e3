/** An upload's file in the storage: presigned PUTs in, its size out. The gateway never sees the bytes. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { conflict } from "@vision-platform/common/app-error";
import { storageStatus } from "../jobs/stored-objects.ts";

export interface StoredFile {
  Bucket: string;
  Key: string;
}
export interface UploadPart {
  part_number: number;
  etag: string;
}

/** `client` signs with the address that the uploader sees. `seconds` is how long the URL is good. */
export async function presignPut(client: S3Client, file: StoredFile, seconds: number): Promise<string> {
  return await getSignedUrl(client, new PutObjectCommand(file), { expiresIn: seconds });
}

export async function beginMultipart(s3: S3Client, file: StoredFile): Promise<string> {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...file, ContentType: "application/zip" }));
  if (UploadId === undefined) throw new Error("the storage gave no id for a multipart upload");
  return UploadId;
}

export async function presignParts(
  client: S3Client,
  file: StoredFile,
  multipartId: string,
  count: number,
  seconds: number,
): Promise<{ part_number: number; url: string }[]> {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return await Promise.all(
    numbers.map(async (part_number) => {
      const command = new UploadPartCommand({ ...file, UploadId: multipartId, PartNumber: part_number });
      return { part_number, url: await getSignedUrl(client, command, { expiresIn: seconds }) };
    }),
  );
}

/**
 * Puts the parts together. An id that the storage no longer knows is no error: an earlier attempt to complete may have
 * come so far, and the file's size decides. Rejects with 409 for parts that do not fit.
 */
export async function finishMultipart(
  s3: S3Client,
  file: StoredFile,
  multipartId: string,
  parts: UploadPart[],
): Promise<void> {
  const Parts = parts
    .toSorted((a, b) => a.part_number - b.part_number)
    .map((part) => ({ PartNumber: part.part_number, ETag: part.etag }));
  try {
    await s3.send(new CompleteMultipartUploadCommand({ ...file, UploadId: multipartId, MultipartUpload: { Parts } }));
  } catch (error) {
    const { name, message } = error as Error;
    if (name === "NoSuchUpload" || storageStatus(error) === 404) return;
    if ((storageStatus(error) ?? 500) < 500)
      throw conflict(`The storage refuses these parts: ${message || name}`, "parts_refused");
    throw error;
  }
}

/** Bytes of the file; undefined when it is not there. */
export async function storedSize(s3: S3Client, file: StoredFile): Promise<number | undefined> {
  try {
    return (await s3.send(new HeadObjectCommand(file))).ContentLength;
  } catch (error) {
    if (storageStatus(error) === 404) return undefined;
    throw error;
  }
}

/** Removes whatever an upload left behind; what is not there is fine. */
export async function removeUploaded(s3: S3Client, file: StoredFile, multipartId: string | null): Promise<void> {
  const ignoreMissing = (error: unknown) => {
    if (storageStatus(error) !== 404) throw error;
  };
  if (multipartId !== null)
    await s3.send(new AbortMultipartUploadCommand({ ...file, UploadId: multipartId })).catch(ignoreMissing);
  await s3.send(new DeleteObjectCommand(file)).catch(ignoreMissing);
}
