import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testServices } from "../../config.ts";
import { connectDatabase } from "../db.ts";
import { knownMigrations, migrate } from "../migrate.ts";
import { dumpDatabase } from "./dump.ts";
import { DUMP_FILE, tableFile } from "./dump-format.ts";
import { obstacle, restoreDatabase } from "./restore.ts";
import { setPassword } from "./set-password.ts";

const admin = testServices().TEST_DATABASE_URL;
const folder = mkdtempSync(join(tmpdir(), "vp-dump-"));
const made: string[] = [];

async function query(url: string, statement: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(statement);
  } finally {
    await client.end();
  }
}

async function emptyDatabase(): Promise<string> {
  const name = `backup_${randomBytes(5).toString("hex")}`;
  await query(admin, `create database ${name}`);
  made.push(name);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return url.href;
}

async function migrated(last?: string): Promise<string> {
  const url = await emptyDatabase();
  const db = connectDatabase(url, 1);
  await migrate(db, last);
  await db.destroy();
  return url;
}

/** Jobs that refer to each other, values that are easily bent, and an id that was given away and is gone. */
const ROWS = `
  insert into users (email, name, password_hash, is_admin) values ('a@example.org', E'Zoë "x"\\n\\t\\\\', 'h', true);
  insert into projects (name) values ('gone'); delete from projects; insert into projects (name) values ('digits');
  insert into project_members values (2, 1, 'owner');
  insert into datasets (project_id, name, task_type) values (2, 'd', 'image_classification');
  insert into jobs (project_id, created_by, kind, name, tags, framework, model_name, task_type, dataset_id, dataset_version,
    epochs, batch_size, learning_rate, seed, config, state, attempt, last_seq, trace_id, traceparent, started_at)
    select 2, 1, 'train', 'job ' || n, array['a, b', '{"c"}', ''], 'timm', 'resnet18', 'image_classification', 1, 1, 5, 32,
      0.1 + n / 3.0, n, jsonb_build_object('big', 9007199254740993, 'small', 1e-300, 'text', E'\\u00e9 {}'),
      case when n = 2 then 'RUNNING' else 'SUCCEEDED' end, 1, 2500, 't', 'p', '2026-11-21 07:00:00.123456+00'
    from generate_series(1, 3) n;
  update jobs set source_job_id = 3 where id = 1;
  insert into attempts (job_id, attempt, last_src_seq, log_bytes) values (2, 1, 2500, 9007199254740993);
  insert into job_events (job_id, seq, attempt, src, src_seq, type, ts, data)
    select 2, n, 1, 'trainer', n, 'log', now(), jsonb_build_object('message', 'line ' || n) from generate_series(1, 2500) n;
  insert into dataset_versions (dataset_id, version, job_id, filename) values (1, 1, 1, 'd.zip');`;

/** Every row of every table as Postgres writes it. */
async function everything(url: string): Promise<Record<string, string[]>> {
  const names = await query(url, "select tablename as name from pg_tables where schemaname = 'public'");
  const found: Record<string, string[]> = {};
  for (const { name } of names.rows.filter((row) => !row.name.startsWith("kysely"))) {
    const { rows } = await query(url, `select line::text as line from ${name} line order by 1`);
    found[name] = rows.map(({ line }) => line);
  }
  return found;
}

let source: string;
beforeAll(async () => {
  source = await migrated();
  await query(source, ROWS);
});
afterAll(async () => {
  for (const name of made) await query(admin, `drop database ${name} with (force)`);
  rmSync(folder, { recursive: true });
});

describe("a database's backup", () => {
  it("comes back with every value, reference and the next free ids, also over something else", async () => {
    const dump = await dumpDatabase(source, join(folder, "all"));
    expect(dump).toMatchObject({ running_jobs: [2], migrations: knownMigrations() });
    expect(dump.tables.find(({ name }) => name === "job_events")).toMatchObject({ rows: 2500 });
    const target = await emptyDatabase();
    expect(await obstacle(target, false)).toBeNull();
    for (let round = 0; round < 2; round += 1) {
      const restored = await restoreDatabase(target, join(folder, "all"));
      expect(restored).toMatchObject({ migrated: [], running_jobs: [2] });
      expect(await everything(target)).toEqual(await everything(source));
    }
    const { rows } = await query(target, "insert into projects (name) values ('next') returning id");
    expect(rows[0].id).toBe(3);
    const broken = "insert into jobs (project_id) values (99)";
    await expect(query(target, broken)).rejects.toThrow(/null value|violates/);
    const keys = "select count(*)::int as n from pg_constraint where contype = 'f'";
    expect((await query(target, keys)).rows).toEqual((await query(source, keys)).rows);
  });

  it("of an older version is migrated", async () => {
    const old = await migrated(knownMigrations()[1]);
    await query(old, ROWS);
    await dumpDatabase(old, join(folder, "old"));
    const target = await emptyDatabase();
    const { migrated: applied } = await restoreDatabase(target, join(folder, "old"));
    expect(applied).toEqual(knownMigrations().slice(2));
    expect((await everything(target)).job_events).toEqual((await everything(old)).job_events);
  });

  it("of a newer version, or one that is damaged, is refused before anything changes", async () => {
    const at = join(folder, "newer");
    const dump = await dumpDatabase(source, at);
    const target = await migrated();
    await query(target, "insert into projects (name) values ('mine')");
    const newer = { ...dump, migrations: [...dump.migrations, "9999-future"] };
    writeFileSync(join(at, DUMP_FILE), JSON.stringify(newer));
    await expect(restoreDatabase(target, at)).rejects.toThrow(/newer version.*9999-future/);
    writeFileSync(join(at, DUMP_FILE), JSON.stringify(dump));
    const bytes = readFileSync(tableFile(at, "jobs"));
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    writeFileSync(tableFile(at, "jobs"), bytes);
    await expect(restoreDatabase(target, at)).rejects.toThrow(/jobs.*damaged/);
    expect((await query(target, "select name from projects")).rows).toEqual([{ name: "mine" }]);
  });

  it("is not restored over rows, beside a gateway, or into somebody else's tables unless that is asked for", async () => {
    const target = await migrated();
    await query(target, "insert into projects (name) values ('mine')");
    expect(await obstacle(target, false)).toMatch(/not empty.*projects.*--replace/);
    expect(await obstacle(target, true)).toBeNull();
    const gateway = connectDatabase(target, 1);
    await migrate(gateway);
    expect(await obstacle(target, true)).toMatch(/stop the platform/);
    await gateway.destroy();
    const foreign = await emptyDatabase();
    await query(foreign, "create table ledger as select 1 as money");
    expect(await obstacle(foreign, true)).toMatch(/not the platform's.*ledger/);
    await expect(dumpDatabase(foreign, join(folder, "none"))).rejects.toThrow(/holds no platform/);
  });

  it("sets an account's password anew when asked", async () => {
    expect(await setPassword(source, "a@example.org", "new")).toBe(true);
    expect(await setPassword(source, "b@example.org", "new")).toBe(false);
  });
});
