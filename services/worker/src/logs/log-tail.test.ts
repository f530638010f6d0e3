import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { eventually } from "../testing/platform.ts";
import type { LogMessage } from "./log-lines.ts";
import { startLogTail } from "./log-tail.ts";
import { createRedactor } from "./redaction.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vp-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it("follows a growing file to its end, without secrets", async () => {
  const file = join(folder, "log.txt");
  const messages: LogMessage[] = [];
  const tail = startLogTail(file, createRedactor(["s3cret-value"]), (message) => messages.push(message));
  writeFileSync(file, "first\nthe key is s3cret-value\n");
  await eventually(() => (messages.length > 0 ? true : undefined));
  appendFileSync(file, "ümlaut without an end");
  await tail.finish();
  expect(messages.map(({ message }) => message)).toEqual(["first\nthe key is [secret]", "ümlaut without an end"]);
  expect(tail.tail()).toBe("first\nthe key is [secret]\nümlaut without an end");
});

it("goes on near the end of a file that grows faster than anybody reads", async () => {
  const file = join(folder, "log.txt");
  const messages: LogMessage[] = [];
  writeFileSync(file, `${"x".repeat(99)}\n`.repeat(30_000));
  appendFileSync(file, "the end\n");
  const tail = startLogTail(
    file,
    (text) => text,
    (message) => messages.push(message),
  );
  await tail.finish();
  expect(messages.length).toBeLessThan(20);
  expect(messages[0]?.message).toBe("… 2737864 bytes left out here; the log file has them all");
  expect(messages.at(-1)?.message).toMatch(/the end$/);
});

it("is content when there never was a file", async () => {
  const tail = startLogTail(
    join(folder, "none"),
    (text) => text,
    () => undefined,
  );
  await tail.finish();
  expect(tail.tail()).toBe("");
});
