/** What Postgres itself says about the platform's tables. */
import type { Client } from "pg";

/** The migrator's own tables, which are made by migrating. */
const OURS_BY_MIGRATING = ["kysely_migration", "kysely_migration_lock"];

async function column<Value>(client: Client, statement: string, values: unknown[] = []): Promise<Value[]> {
  const { rows } = await client.query<[Value]>({ text: statement, values, rowMode: "array" });
  return rows.map(([value]) => value);
}

/** Every table that holds rows of the platform, by name. */
export function listTables(client: Client): Promise<string[]> {
  return column(
    client,
    `select table_name::text from information_schema.tables
      where table_schema = 'public' and table_type = 'BASE TABLE' and table_name <> all($1) order by table_name`,
    [OURS_BY_MIGRATING],
  );
}

/** The names of a table's columns, without those that Postgres computes. */
export function listColumns(client: Client, table: string): Promise<string[]> {
  return column(
    client,
    `select column_name::text from information_schema.columns
      where table_schema = 'public' and table_name = $1 and is_generated = 'NEVER' order by ordinal_position`,
    [table],
  );
}

/** Names of the applied migrations, in their order; none in an empty database. */
export async function appliedMigrations(client: Client): Promise<string[]> {
  const [there] = await column<string | null>(client, `select to_regclass('public.kysely_migration')::text`);
  if (there === null) return [];
  return await column(client, "select name from kysely_migration order by name");
}

/** Every identity column as table and column. */
export async function listIdentities(client: Client): Promise<{ table: string; column: string }[]> {
  const { rows } = await client.query(
    `select table_name::text as table, column_name::text as column from information_schema.columns
      where table_schema = 'public' and is_identity = 'YES' order by 1, 2`,
  );
  return rows;
}

/** Foreign keys with the statement that makes each again. */
export async function listForeignKeys(client: Client): Promise<{ table: string; name: string; definition: string }[]> {
  const { rows } = await client.query(
    `select conrelid::regclass::text as table, conname::text as name, pg_get_constraintdef(oid) as definition
      from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace order by 1, 2`,
  );
  return rows;
}

/** The tables that have at least one row. */
export async function tablesWithRows(client: Client): Promise<string[]> {
  const found: string[] = [];
  for (const table of await listTables(client)) {
    const { rowCount } = await client.query(`select 1 from ${client.escapeIdentifier(table)} limit 1`);
    if (rowCount !== 0) found.push(table);
  }
  return found;
}

/** How many connections of gateways this database has. */
export async function connectedGateways(client: Client): Promise<number> {
  const [count] = await column<string>(
    client,
    `select count(*)::text from pg_stat_activity
      where datname = current_database() and application_name like 'vision-platform-gateway%'`,
  );
  return Number(count);
}
