import { resolve } from "node:path";
import { BACKUP_STEPS, backup } from "./backup.ts";
import type { BackupManifest } from "./backup-folder.ts";
import { COMPOSE_ENV, type Which, withServers } from "./backup-servers.ts";
import { writeComposeEnv } from "./compose-env.ts";
import { vpPaths } from "./paths.ts";
import { createProgress, progressMode } from "./progress.ts";
import { RESTORE_STEPS, type RestoreReport, restore } from "./restore.ts";

type Options = { json?: boolean; compose?: boolean; envFile?: string; keep?: string; at?: string; replace?: boolean };

/** `./vp backup <folder>`; exit code 1 when something that the rows name was not found in the storage. */
export async function backupCommand(folder: string, options: Options): Promise<number> {
  const keep = options.keep === undefined ? undefined : Number(options.keep);
  if (keep !== undefined && !(Number.isInteger(keep) && keep >= 1)) {
    throw new Error(`--keep: found ${options.keep}, expected a whole number of backups, at least 1`);
  }
  const progress = createProgress(progressMode(options.json ?? false), BACKUP_STEPS);
  const done = await withServers(which(options), false, (servers) =>
    backup(servers, resolve(folder), keep, progress),
  ).finally(() => progress.end());
  say(options.json ? JSON.stringify({ event: "backup", folder: resolve(folder), ...done }) : backupText(folder, done));
  return done.manifest.warnings.length === 0 ? 0 : 1;
}

/** `./vp restore <folder>`. */
export async function restoreCommand(folder: string, options: Options): Promise<number> {
  const progress = createProgress(progressMode(options.json ?? false), RESTORE_STEPS);
  const wanted = { at: options.at, replace: options.replace ?? false };
  const report = await withServers(which(options), true, (servers) =>
    restore(servers, resolve(folder), wanted, progress),
  ).finally(() => progress.end());
  say(
    options.json
      ? JSON.stringify({ event: "restore", ...report })
      : restoreText(report, (options.compose ?? false) || options.envFile !== undefined),
  );
  return 0;
}

/** `./vp compose-env`. */
export async function composeEnvCommand(options: Options): Promise<number> {
  const { file, fresh, added } = writeComposeEnv();
  const text = fresh ? `${file} is written; it holds secrets` : `${file} was there already`;
  const more = added.length === 0 ? "nothing had to be added" : `added ${added.join(", ")}`;
  say(options.json ? JSON.stringify({ event: "compose-env", file, fresh, added }) : fresh ? text : `${text}: ${more}`);
  return 0;
}

function which({ compose = false, envFile }: Options): Which {
  const composeEnv = envFile !== undefined ? resolve(envFile) : compose ? COMPOSE_ENV : null;
  return { composeEnv, paths: vpPaths() };
}

function backupText(folder: string, done: { name: string; manifest: BackupManifest; removed: string[] }): string {
  const { database, objects, running_jobs, warnings, secrets_left_out } = done.manifest;
  return [
    `backup      ${done.name} in ${folder}`,
    `database    ${count(database.rows)} rows (${size(database.bytes)}), as of ${done.manifest.taken_at}`,
    `objects     ${count(objects.count)} (${size(objects.bytes)}), ${count(objects.copied)} of them new (${size(objects.copied_bytes)})`,
    ...(running_jobs.length > 0 ? [`running     jobs ${running_jobs.join(", ")}: they go on from a checkpoint`] : []),
    ...(done.removed.length > 0 ? [`removed     ${done.removed.join(", ")}`] : []),
    ...(secrets_left_out.length > 0 ? [`not in it   the values of ${secrets_left_out.join(", ")}`] : []),
    ...warnings.map((warning) => `warning     ${warning}`),
  ].join("\n");
}

function restoreText(report: RestoreReport, compose: boolean): string {
  const { manifest, migrated, account } = report;
  return [
    `restored    ${report.name}, taken by version ${manifest.platform_version} at ${manifest.taken_at}`,
    `database    ${count(report.rows)} rows in ${report.tables} tables${migrated.length > 0 ? `, then migrated: ${migrated.join(", ")}` : ""}`,
    `objects     ${count(manifest.objects.count)}: ${count(report.sent)} sent, ${count(report.deleted)} others removed`,
    `redis       ${count(report.redis_keys)} old keys removed; the gateway makes queues again from the rows`,
    ...(report.running_jobs.length > 0
      ? [`running     jobs ${report.running_jobs.join(", ")} go on once it is up`]
      : []),
    ...(account ? [`account     ${account} has the password of this folder (.vp/secrets.json)`] : []),
    `next        ${compose ? "docker compose up --detach --wait" : "./vp up"}`,
  ].join("\n");
}

function count(number: number): string {
  return number.toLocaleString("en");
}

function size(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
