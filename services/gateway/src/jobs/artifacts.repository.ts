/** What a succeeded job left in the storage, as its RESULT.json said and the gateway checked. */
import type { Artifact } from "@vision-platform/contracts/trainer-events";
import type { Db } from "../db/db.ts";

/** In the transaction that makes the job SUCCEEDED: what is listed here was checked. */
export async function insertArtifacts(db: Db, job_id: number, attempt: number, artifacts: Artifact[]): Promise<void> {
  if (artifacts.length === 0) return;
  const rows = artifacts.map(({ name, uri, sha256, bytes, media_type }) => ({
    job_id,
    attempt,
    name,
    uri,
    sha256,
    bytes,
    media_type,
  }));
  await db.insertInto("artifacts").values(rows).execute();
}

/** By name; empty for a job that has not succeeded. */
export async function listArtifacts(db: Db, job_id: number): Promise<Artifact[]> {
  return await db
    .selectFrom("artifacts")
    .select(["name", "uri", "sha256", "bytes", "media_type"])
    .where("job_id", "=", job_id)
    .orderBy("name")
    .execute();
}
