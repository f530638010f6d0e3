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
  const tail = startLogTail({
    file,
    redact: createRedactor(["s3cret-value"]),
    emit: (message) => messages.push(message),
  });
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
  const tail = startLogTail({ file, redact: (text) => text, emit: (message) => messages.push(message) });
  await tail.finish();
  expect(messages.length).toBeLessThan(20);
  expect(messages[0]?.message).toBe("… 2737864 bytes left out here; the log file has them all");
  expect(messages.at(-1)?.message).toMatch(/the end$/);
});

it("leaves a line that is being written to the next reader, who goes on exactly there", async () => {
  const file = join(folder, "log.txt");
  const messages: LogMessage[] = [];
  const options = { file, redact: (text: string) => text, emit: (message: LogMessage) => messages.push(message) };
  const first = startLogTail(options);
  writeFileSync(file, "one\ntwo\nthr");
  await eventually(() => (messages.length > 0 ? true : undefined));
  await first.leave();
  appendFileSync(file, "ee\nfour\n");
  const next = startLogTail({ ...options, from: messages.at(-1)?.offset ?? 0 });
  await next.finish();
  expect(messages.map(({ message }) => message)).toEqual(["one\ntwo", "three\nfour"]);
});

it("is content when there never was a file", async () => {
  const tail = startLogTail({ file: join(folder, "none"), redact: (text) => text, emit: () => undefined });
  await tail.finish();
  expect(tail.tail()).toBe("");
});
