/** Work that must be one transaction, whether or not the caller has begun one. */
import type { Db } from "../db/db.ts";

/** Runs `work` in the transaction that `db` is, or in one of its own. */
export async function inTransaction<Value>(db: Db, work: (tx: Db) => Promise<Value>): Promise<Value> {
  return db.isTransaction ? await work(db) : await db.transaction().execute(work);
}
