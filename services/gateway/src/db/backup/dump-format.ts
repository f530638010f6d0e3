/** What lies in a dump's folder: `database.json` and, for each table, its rows as JSON lines, compressed. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";

/** One table: how many rows, and size and hash of the file that holds them. */
const DumpedTable = z.object({
  name: z.string().regex(/^[a-z_]+$/),
  rows: z.int().min(0),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

export const DatabaseDump = z.object({
  /** By the database's clock, RFC 3339. */
  taken_at: z.string(),
  server_version: z.string(),
  /** In the order in which they were applied; the schema that the rows fit. */
  migrations: z.array(z.string()).min(1),
  tables: z.array(DumpedTable),
  /** Where each identity column goes on counting, as `table.column`. */
  identities: z.record(z.string(), z.int()),
  /** Jobs that ran while the dump was taken: after a restore they go on from their last checkpoint. */
  running_jobs: z.array(z.int()),
});
export type DatabaseDump = z.output<typeof DatabaseDump>;

export const DUMP_FILE = "database.json";

export function tableFile(folder: string, table: string): string {
  return join(folder, `${table}.jsonl.gz`);
}

/** sha256 of a file, in hex. */
export async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/**
 * Reads a dump's description and compares every file with its hash.
 * Throws an Error that names the file that is missing, damaged or not ours.
 */
export async function readDump(folder: string): Promise<DatabaseDump> {
  const file = join(folder, DUMP_FILE);
  const dump = DatabaseDump.parse(JSON.parse(await readFile(file, "utf8")));
  for (const table of dump.tables) {
    const path = tableFile(folder, table.name);
    if ((await fileHash(path)) !== table.sha256)
      throw new Error(`${path} is damaged: its sha256 is not ${table.sha256}`);
  }
  return dump;
}
