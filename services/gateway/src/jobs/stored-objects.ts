/** Questions to the storage, where "not there" is an answer and silence is not. */
import { unavailable } from "@vision-platform/common/app-error";

/** Undefined for an object that is not there. Rejects with 503 on any other trouble: it is the storage's, and passes. */
export async function findObject<Value>(read: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await read();
  } catch (error) {
    if (storageStatus(error) === 404) return undefined;
    throw unavailable("the storage does not answer", error);
  }
}

/** The HTTP status that the storage refused with; undefined when it did not answer. */
export function storageStatus(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}
