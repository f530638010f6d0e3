/** Brings the database to the newest schema, one gateway at a time. */
import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import * as initial from "./migrations/0001-initial.ts";
import * as derivedJobs from "./migrations/0002-derived-jobs.ts";
import * as mlflowRuns from "./migrations/0003-mlflow-runs.ts";
import * as launchers from "./migrations/0004-launchers.ts";
import type { Database } from "./schema.ts";

/** In order; a migration that was released is never changed. */
const MIGRATIONS: Record<string, Migration> = {
  "0001-initial": initial,
  "0002-derived-jobs": derivedJobs,
  "0003-mlflow-runs": mlflowRuns,
  "0004-launchers": launchers,
};

/** Any number would do, as long as every gateway uses the same. */
const ADVISORY_LOCK = 7_305_116;

/** The names of all migrations of this version, in order. */
export function knownMigrations(): string[] {
  return Object.keys(MIGRATIONS);
}

/**
 * Runs what is missing, up to `last` (default: everything), under an advisory lock. Rejects with the failed migration's
 * own error.
 */
export async function migrate(db: Kysely<Database>, last?: string): Promise<string[]> {
  return await db.connection().execute(async (connection) => {
    await sql`select pg_advisory_lock(${ADVISORY_LOCK})`.execute(connection);
    try {
      const migrator = new Migrator({ db: connection, provider: { getMigrations: async () => MIGRATIONS } });
      const { error, results } = await (last === undefined ? migrator.migrateToLatest() : migrator.migrateTo(last));
      if (error !== undefined) throw error;
      return (results ?? []).map((result) => result.migrationName);
    } finally {
      await sql`select pg_advisory_unlock(${ADVISORY_LOCK})`.execute(connection);
    }
  });
}
