/** The pool, and the handle that repositories take: the pool itself or a transaction of it. */
import { Kysely, PostgresDialect, sql, type Transaction } from "kysely";
import pg from "pg";
import { PreparingClient } from "./preparing-client.ts";
import type { Database } from "./schema.ts";

/** What a repository function runs on. */
export type Db = Kysely<Database> | Transaction<Database>;

/** The pool itself: what may begin a transaction. */
export type Pool = Kysely<Database>;

const INT8 = 20;

/** Statements and waits for a connection are bounded, so that a request never hangs on Postgres. */
export function connectDatabase(url: string, poolSize = 12): Pool {
  const types = new pg.TypeOverrides();
  types.setTypeParser(INT8, Number);
  const pool = new pg.Pool({
    Client: PreparingClient,
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: 3_000,
    statement_timeout: 15_000,
    // The server judges its own limit; a frozen server or a cut network is noticed here.
    query_timeout: 20_000,
    idle_in_transaction_session_timeout: 15_000,
    application_name: "vision-platform-gateway",
    types,
  });
  // A broken idle connection is replaced by the pool; the next query tells whether Postgres is away.
  pool.on("error", () => undefined);
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}

/** Resolves when Postgres answers. */
export async function checkDatabase(db: Db): Promise<void> {
  await sql`select 1`.execute(db);
}
