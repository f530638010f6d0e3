/** Brings a dump's rows into a database: all or none. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import pg from "pg";
import { connectDatabase } from "../db.ts";
import { knownMigrations, migrate } from "../migrate.ts";
import {
  appliedMigrations,
  connectedGateways,
  listColumns,
  listForeignKeys,
  listTables,
  tablesWithRows,
} from "./catalog.ts";
import { type DatabaseDump, readDump, tableFile } from "./dump-format.ts";

/** Of one INSERT. */
const ROWS_AT_ONCE = 1_000;
const CHARACTERS_AT_ONCE = 8_000_000;

export interface RestoredDatabase {
  rows: number;
  tables: number;
  /** Applied after the rows were there, because this version is newer than the backup. */
  migrated: string[];
  running_jobs: number[];
}

/** What stands in the way of a restore, in words; null when nothing does. Throws when the database does not answer. */
export async function obstacle(url: string, replace: boolean): Promise<string | null> {
  return await withClient(url, async (client) => {
    const gateways = await connectedGateways(client);
    if (gateways > 0)
      return `a gateway is connected to this database (${gateways} connections): stop the platform first`;
    const filled = await tablesWithRows(client);
    if (filled.length === 0) return null;
    if ((await appliedMigrations(client)).length === 0) {
      return `this database holds tables that are not the platform's (${filled.join(", ")}): give it one of its own`;
    }
    return replace
      ? null
      : `the database is not empty: there are rows in ${filled.join(", ")}; --replace gives them up`;
  });
}

/**
 * Checks the dump's hashes, makes the schema it was taken from, fills it in one transaction and migrates to this
 * version's schema. What the database held before is dropped; ask `obstacle` first.
 * Throws when the dump is damaged or of a newer version; then no row was written.
 */
export async function restoreDatabase(url: string, folder: string): Promise<RestoredDatabase> {
  const dump = await readDump(folder);
  const known = knownMigrations();
  const unknown = dump.migrations.filter((name, index) => known[index] !== name);
  if (unknown.length > 0) {
    throw new Error(
      `the backup was made by a newer version (it has ${unknown.join(", ")}): restore it with that version`,
    );
  }
  await withClient(url, dropEverything);
  await migrateTo(url, dump.migrations.at(-1));
  const rows = await withClient(url, (client) => fill(client, dump, folder));
  const migrated = await migrateTo(url);
  // MLflow is told again: it may have lost its runs with us, and takes what it knows already without a change.
  await withClient(url, (client) => client.query("delete from mlflow_runs"));
  return { rows, tables: dump.tables.length, migrated, running_jobs: dump.running_jobs };
}

async function withClient<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: "vp-restore",
  });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function migrateTo(url: string, last?: string): Promise<string[]> {
  const db = connectDatabase(url, 1);
  try {
    return await migrate(db, last);
  } finally {
    await db.destroy();
  }
}

async function dropEverything(client: pg.Client): Promise<void> {
  const tables = [...(await listTables(client)), "kysely_migration", "kysely_migration_lock"];
  const names = tables.map((name) => client.escapeIdentifier(name)).join(", ");
  await client.query(`drop table if exists ${names} cascade`);
}

/** Foreign keys are made again after the rows: tables may then come in any order, and each is checked as a whole. */
async function fill(client: pg.Client, dump: DatabaseDump, folder: string): Promise<number> {
  await client.query("begin; set local timezone = 'UTC'");
  const keys = await listForeignKeys(client);
  for (const { table, name } of keys) {
    await client.query(`alter table ${table} drop constraint ${client.escapeIdentifier(name)}`);
  }
  let rows = 0;
  for (const table of dump.tables) {
    // A migration may have put rows of its own there.
    await client.query(`delete from ${client.escapeIdentifier(table.name)}`);
    const inserted = await fillTable(client, table.name, tableFile(folder, table.name));
    if (inserted !== table.rows) throw new Error(`${table.name}: ${inserted} rows came back of ${table.rows}`);
    rows += inserted;
  }
  for (const { table, name, definition } of keys) {
    await client.query(`alter table ${table} add constraint ${client.escapeIdentifier(name)} ${definition}`);
  }
  for (const [identity, value] of Object.entries(dump.identities)) {
    const [table, column] = identity.split(".");
    await client.query("select setval(pg_get_serial_sequence($1, $2), $3)", [`public.${table}`, column, value]);
  }
  await client.query("commit");
  await client.query("analyze");
  return rows;
}

async function fillTable(client: pg.Client, name: string, file: string): Promise<number> {
  const table = client.escapeIdentifier(name);
  const columns = (await listColumns(client, name)).map((column) => client.escapeIdentifier(column)).join(", ");
  const insert = `insert into ${table} (${columns}) overriding system value
    select ${columns} from json_populate_recordset(null::${table}, $1::json)`;
  let inserted = 0;
  let batch: string[] = [];
  let characters = 0;
  const flush = async () => {
    if (batch.length === 0) return;
    inserted += (await client.query(insert, [`[${batch.join(",")}]`])).rowCount ?? 0;
    batch = [];
    characters = 0;
  };
  for await (const line of createInterface({ input: createReadStream(file).pipe(createGunzip()) })) {
    batch.push(line);
    characters += line.length;
    if (batch.length >= ROWS_AT_ONCE || characters >= CHARACTERS_AT_ONCE) await flush();
  }
  await flush();
  return inserted;
}
