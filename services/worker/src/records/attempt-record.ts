/** What a worker writes down about an attempt, so that whoever starts next on this host can finish what it began. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { finishAttempt } from "@vision-platform/contracts/api/internal";
import { z } from "zod";
import { isAlive, ownIdentity, pidSpace } from "../launchers/process-identity.ts";
import { attemptName, attemptsFolder } from "../supervision/attempt-directory.ts";

const Identity = z.object({ pid: z.int().min(1), start_time: z.string() });

export const AttemptRecord = z.object({
  v: z.literal(1),
  job_id: z.int(),
  attempt: z.int(),
  lease_token: z.string(),
  /** Where its numbers mean something; see pidSpace. */
  host: z.string(),
  pid_space: z.string(),
  worker: Identity,
  /** The pid is null in the moments around the spawn; the marker finds the trainer even then. */
  trainer: z.object({ marker: z.string(), pid: z.int().nullable(), start_time: z.string().nullable() }),
  /** Values to cut out of the log before it is uploaded. */
  secrets: z.array(z.string()),
  /** How it ended, once that is decided and the gateway has not yet said yes. */
  finish: finishAttempt.body.omit({ lease_token: true }).optional(),
});
export type AttemptRecord = z.infer<typeof AttemptRecord>;

export interface AttemptRecords {
  /** A record of this worker, not yet written. */
  draft(of: Pick<AttemptRecord, "job_id" | "attempt" | "lease_token" | "secrets" | "trainer">): AttemptRecord;
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
      return AttemptRecord.parse(JSON.parse(readFileSync(file, "utf8")));
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
    const samePids = found.pid_space === own.pid_space;
    const trainer = samePids ? found.trainer : { ...found.trainer, pid: null, start_time: null };
    const record = { ...found, ...own, trainer };
    write(record);
    rmSync(taken, { force: true });
    return record;
  }

  return {
    draft: (of) => ({ v: 1, ...own, ...of }),
    write,
    remove: (ids) => rmSync(fileOf(ids), { force: true }),
    takeOrphans() {
      const names = readdirSync(folder).filter((name) => /\.json(\.taken-\d+-\d+)?$/.test(name));
      return names.map(take).filter((record) => record !== null);
    },
  };
}
