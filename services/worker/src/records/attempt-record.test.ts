import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type AttemptRecord, type AttemptRecords, createAttemptRecords } from "./attempt-record.ts";

let workDir = "";
let records: AttemptRecords;
const trainer = { marker: "6-1-abc", handle: null };
const launcher = "subprocess";
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
    ...records.draft({ ...fence, secrets: [], launcher, trainer }),
    worker: { pid: 1_999_999, start_time: "1" },
    ...changes,
  };
  records.write(record);
  return record;
}

it("is readable by its owner alone and leaves no half-written file", () => {
  records.write(records.draft({ ...fence, secrets: ["s"], launcher, trainer }));
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(workDir, "attempts"))).toEqual(["6-1.json"]);
  expect(JSON.parse(readFileSync(file(), "utf8"))).toMatchObject(fence);
});

it("leaves the attempts of living workers alone", () => {
  records.write(records.draft({ ...fence, secrets: [], launcher, trainer }));
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
    trainer: { marker: "m", handle: `${process.pid}:1` },
  });
  expect(records.takeOrphans()).toMatchObject([{ trainer: { marker: "m", handle: null } }]);
});

it("keeps the word of an engine over a reboot, because only processes end with it", () => {
  abandoned({ pid_space: "before", launcher: "docker", trainer: { marker: "m", handle: "a-container" } });
  expect(records.takeOrphans()).toMatchObject([{ trainer: { marker: "m", handle: "a-container" } }]);
});

it("reads what an earlier version of the worker wrote", () => {
  const { launcher: _, ...record } = abandoned();
  const first = { ...record, v: 1, trainer: { marker: "m", pid: 1_999_998, start_time: "12" } };
  writeFileSync(file(), JSON.stringify(first));
  const [taken] = records.takeOrphans();
  expect(taken).toMatchObject({ v: 2, launcher: "subprocess", trainer: { marker: "m", handle: "1999998:12" } });
});

it("skips what is no record", () => {
  writeFileSync(join(workDir, "attempts", "7-1.json"), "{torn");
  expect(records.takeOrphans()).toEqual([]);
});
