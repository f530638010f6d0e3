import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withLock } from "./lock.ts";
import { ownRecord } from "./process-identity.ts";

const lockFile = () => join(mkdtempSync(join(tmpdir(), "vp-lock-")), "up.lock");

test("two at once run one after the other", async () => {
  const file = lockFile();
  let inside = 0;
  const work = async () => {
    inside += 1;
    expect(inside).toBe(1);
    await new Promise((done) => setTimeout(done, 30));
    inside -= 1;
  };
  await Promise.all([1, 2, 3].map(() => withLock(file, work, () => undefined)));
  expect(existsSync(file)).toBe(false);
});

test("a holder that died is not waited for, even when its pid is somebody else's now", async () => {
  const file = lockFile();
  writeFileSync(file, JSON.stringify({ ...ownRecord("vp"), start_time: "1" }));
  const waited: unknown[] = [];
  expect(
    await withLock(
      file,
      async () => "done",
      (holder) => waited.push(holder),
    ),
  ).toBe("done");
  expect(waited).toEqual([]);
});

test("the lock is free again after work that failed", async () => {
  const file = lockFile();
  await expect(
    withLock(
      file,
      () => Promise.reject(new Error("no")),
      () => undefined,
    ),
  ).rejects.toThrow("no");
  expect(existsSync(file)).toBe(false);
});
