import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type AttemptRecord, type AttemptRecords, createAttemptRecords } from "./attempt-record.ts";

let workDir = "";
let records: AttemptRecords;
const trainer = { marker: "6-1-abc", pid: null, start_time: null };
const fence = { job_id: 6, attempt: 1, lease_token: "a-token-of-some-length" };
const file = () => join(workDir, "attempts", "6-1.json");

beforeEach(() => {
  workDir = mkdtempSync(join(tmpdir(), "vp-records-"));
  records = createAttemptRecords(workDir);
});
afterEach(() => rmSync(workDir, { recursive: true, force: true }));

/** The record as a worker leaves it that is no longer there. */
function abandoned(changes: Partial<AttemptRecord> = {}): AttemptRecord {
  const record = {
    ...records.draft({ ...fence, secrets: [], trainer }),
    worker: { pid: 1_999_999, start_time: "1" },
    ...changes,
  };
  records.write(record);
  return record;
}

it("is readable by its owner alone and leaves no half-written file", () => {
  records.write(records.draft({ ...fence, secrets: ["s"], trainer }));
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(workDir, "attempts"))).toEqual(["6-1.json"]);
  expect(JSON.parse(readFileSync(file(), "utf8"))).toMatchObject(fence);
});

it("leaves the attempts of living workers alone", () => {
  records.write(records.draft({ ...fence, secrets: [], trainer }));
  expect(records.takeOrphans()).toEqual([]);
});

it("takes what a dead worker left, in its own name, once", () => {
  abandoned();
  const [taken, ...more] = records.takeOrphans();
  expect(more).toEqual([]);
  expect(taken).toMatchObject({ ...fence, trainer, worker: { pid: process.pid } });
  expect(records.takeOrphans()).toEqual([]);
  records.remove(fence);
  expect(readdirSync(join(workDir, "attempts"))).toEqual([]);
});

it("takes also what died while it was being taken", () => {
  const record = abandoned();
  rmSync(file());
  writeFileSync(join(workDir, "attempts", "6-1.json.taken-1999999-1"), JSON.stringify(record));
  expect(records.takeOrphans()).toHaveLength(1);
  expect(readdirSync(join(workDir, "attempts"))).toEqual(["6-1.json"]);
});

it("does not judge the processes of another host", () => {
  abandoned({ host: "another-host" });
  expect(records.takeOrphans()).toEqual([]);
});

it("knows that nothing outlived a reboot, and does not trust the pids from before it", () => {
  abandoned({
    pid_space: "before",
    worker: { pid: process.pid, start_time: "1" },
    trainer: { marker: "m", pid: process.pid, start_time: "1" },
  });
  expect(records.takeOrphans()).toMatchObject([{ trainer: { marker: "m", pid: null } }]);
});

it("skips what is no record", () => {
  writeFileSync(join(workDir, "attempts", "7-1.json"), "{torn");
  expect(records.takeOrphans()).toEqual([]);
});
