/** Which files an attempt has left beside its artifacts. */
import type { Db } from "../db/db.ts";

/** Attempts whose whole log lies in the storage. */
export async function listLogFiles(db: Db, job_id: number): Promise<{ attempt: number; log_bytes: number }[]> {
  return await db
    .selectFrom("attempts")
    .select(["attempt", "log_bytes"])
    .where("job_id", "=", job_id)
    .where("log_bytes", "is not", null)
    .orderBy("attempt")
    .$narrowType<{ log_bytes: number }>()
    .execute();
}
