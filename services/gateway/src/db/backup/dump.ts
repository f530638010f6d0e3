/** Writes the platform's rows to files: all as of one moment, while everything goes on. */
import { createWriteStream } from "node:fs";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import pg from "pg";
import { appliedMigrations, listColumns, listIdentities, listTables } from "./catalog.ts";
import { DatabaseDump, DUMP_FILE, fileHash, tableFile } from "./dump-format.ts";

const ROWS_AT_ONCE = 1_000;

/**
 * Dumps into `folder`, which is made. One repeatable-read snapshot: no row is newer than another, nothing is locked.
 * Rows are JSON, because that is the same for every version of Postgres and can be read without one.
 * Throws when the database was never migrated, or does not answer.
 */
export async function dumpDatabase(url: string, folder: string): Promise<DatabaseDump> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: "vp-backup",
  });
  await client.connect();
  try {
    await client.query("begin isolation level repeatable read, read only");
    // Times and floating point numbers come back exactly, whatever the server's own settings.
    await client.query("set local timezone = 'UTC'; set local extra_float_digits = 1");
    const dump = await describe(client);
    for (const name of await listTables(client)) dump.tables.push(await dumpTable(client, name, folder));
    await client.query("commit");
    await writeFile(join(folder, DUMP_FILE), `${JSON.stringify(dump, null, 2)}\n`, { mode: 0o600 });
    return dump;
  } finally {
    await client.end();
  }
}

async function describe(client: pg.Client): Promise<DatabaseDump> {
  const migrations = await appliedMigrations(client);
  if (migrations.length === 0) throw new Error("this database holds no platform: no migration was ever applied to it");
  const { rows } = await client.query(
    `select to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as taken_at, version() as server_version,
      coalesce((select json_agg(id order by id) from jobs where state = 'RUNNING'), '[]') as running_jobs`,
  );
  const identities: Record<string, number> = {};
  for (const { table, column } of await listIdentities(client)) {
    const sequence = await client.query("select pg_get_serial_sequence($1, $2) as name", [`public.${table}`, column]);
    const { rows: at } = await client.query(`select last_value::text, is_called from ${sequence.rows[0].name}`);
    if (at[0].is_called) identities[`${table}.${column}`] = Number(at[0].last_value);
  }
  return DatabaseDump.parse({ ...rows[0], migrations, identities, tables: [] });
}

async function dumpTable(client: pg.Client, name: string, folder: string): Promise<DatabaseDump["tables"][number]> {
  const columns = (await listColumns(client, name)).map((column) => client.escapeIdentifier(column)).join(", ");
  const table = client.escapeIdentifier(name);
  await client.query(
    `declare dumped no scroll cursor for select row_to_json(line)::text as line from (select ${columns} from ${table}) line`,
  );
  let rows = 0;
  async function* lines() {
    for (;;) {
      const batch = await client.query<{ line: string }>(`fetch ${ROWS_AT_ONCE} from dumped`);
      if (batch.rows.length === 0) return;
      rows += batch.rows.length;
      yield `${batch.rows.map(({ line }) => line).join("\n")}\n`;
    }
  }
  const path = tableFile(folder, name);
  await pipeline(Readable.from(lines()), createGzip(), createWriteStream(path, { mode: 0o600 }));
  await client.query("close dumped");
  return { name, rows, bytes: (await stat(path)).size, sha256: await fileHash(path) };
}
