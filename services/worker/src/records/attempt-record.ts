/** What a worker writes down about an attempt, so that whoever starts next on this host can finish what it began. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { finishAttempt } from "@vision-platform/contracts/api/internal";
import { LauncherName } from "@vision-platform/contracts/api/workers";
import { z } from "zod";
import { isAlive, ownIdentity, pidSpace, processHandle } from "../launchers/process-identity.ts";
import { attemptName, attemptsFolder } from "../supervision/attempt-directory.ts";

const Identity = z.object({ pid: z.int().min(1), start_time: z.string() });

export const AttemptRecord = z.object({
  v: z.literal(2),
  job_id: z.int(),
  attempt: z.int(),
  lease_token: z.string(),
  /** Where its numbers mean something; see pidSpace. */
  host: z.string(),
  pid_space: z.string(),
  worker: Identity,
  launcher: LauncherName,
  /** The handle is null in the moments around the launch; the marker finds the trainer even then. */
  trainer: z.object({ marker: z.string(), handle: z.string().nullable() }),
  /** Values to cut out of the log before it is uploaded. */
  secrets: z.array(z.string()),
  /** What its span hangs below; see attempt-span.ts. */
  traceparent: z.string().optional(),
  /** How it ended, once that is decided and the gateway has not yet said yes. */
  finish: finishAttempt.body.omit({ lease_token: true }).optional(),
});
export type AttemptRecord = z.infer<typeof AttemptRecord>;

/** As workers wrote it that knew of processes only. */
const FirstRecord = AttemptRecord.omit({ launcher: true }).extend({
  v: z.literal(1),
  trainer: z.object({ marker: z.string(), pid: z.int().nullable(), start_time: z.string().nullable() }),
});

/** Throws when it is no record. */
function parseRecord(text: string): AttemptRecord {
  const written: unknown = JSON.parse(text);
  const first = FirstRecord.safeParse(written);
  if (!first.success) return AttemptRecord.parse(written);
  const { marker, pid, start_time } = first.data.trainer;
  const handle = pid === null || start_time === null ? null : processHandle({ pid, start_time });
  return { ...first.data, v: 2, launcher: "subprocess", trainer: { marker, handle } };
}

export interface AttemptRecords {
  /** A record of this worker, not yet written. */
  draft(
    of: Pick<AttemptRecord, "job_id" | "attempt" | "lease_token" | "secrets" | "launcher" | "trainer" | "traceparent">,
  ): AttemptRecord;
  /** Written to a new file, then renamed: a reader sees the old record or the new one. Throws on a full disk. */
  write(record: AttemptRecord): void;
  remove(ids: { job_id: number; attempt: number }): void;
  /** Records whose worker is dead, now in the name of this one: of several workers that start, each gets others. */
  takeOrphans(): AttemptRecord[];
}

export function createAttemptRecords(workDir: string): AttemptRecords {
  const folder = attemptsFolder(workDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const own = { host: hostname(), pid_space: pidSpace(), worker: ownIdentity() };
  const fileOf = (ids: { job_id: number; attempt: number }) => join(folder, `${attemptName(ids)}.json`);

  function write(record: AttemptRecord): void {
    const fresh = `${fileOf(record)}.new-${process.pid}`;
    writeFileSync(fresh, JSON.stringify(record), { mode: 0o600 });
    renameSync(fresh, fileOf(record));
  }

  function read(file: string): AttemptRecord | null {
    try {
      return parseRecord(readFileSync(file, "utf8"));
    } catch {
      return null;
    }
  }

  function isOrphan(record: AttemptRecord): boolean {
    // Another host's processes cannot be seen from here: its own next worker looks after them.
    if (record.host !== own.host) return false;
    return record.pid_space !== own.pid_space || !isAlive(record.worker);
  }

  /** The rename succeeds for one taker only. A taker that dies here leaves a name that the next one takes. */
  function take(name: string): AttemptRecord | null {
    const file = join(folder, name);
    const found = read(file);
    if (!found || !isOrphan(found)) return null;
    const taken = join(folder, `${attemptName(found)}.json.taken-${process.pid}-${Date.now()}`);
    try {
      renameSync(file, taken);
    } catch {
      return null;
    }
    // Only a process is named by numbers that mean something else after a reboot.
    const known = found.pid_space === own.pid_space || found.launcher !== "subprocess";
    const trainer = known ? found.trainer : { ...found.trainer, handle: null };
    const record = { ...found, ...own, trainer };
    write(record);
    rmSync(taken, { force: true });
    return record;
  }

  return {
    draft: (of) => ({ v: 2, ...own, ...of }),
    write,
    remove: (ids) => rmSync(fileOf(ids), { force: true }),
    takeOrphans() {
      const names = readdirSync(folder).filter((name) => /\.json(\.taken-\d+-\d+)?$/.test(name));
      return names.map(take).filter((record) => record !== null);
    },
  };
}
