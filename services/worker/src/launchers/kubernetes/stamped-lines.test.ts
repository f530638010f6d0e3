import { expect, it } from "vitest";
import { createStampedLines, type LogPosition, sinceTime } from "./stamped-lines.ts";

const at = (nanos: number) => `2026-11-21T08:00:0${Math.floor(nanos / 1e9)}.${String(nanos % 1e9).padStart(9, "0")}Z`;
/** Two lines with one time, a line in parts, one without an end. */
const LOG = [
  `${at(1)} first\n`,
  `${at(2)} twin\n${at(2)} twin\n`,
  `${at(5)} ümlaut and a long line\n`,
  `${at(1_000_000_000)} \n`,
  `${at(2_000_000_000)} without an end`,
].join("");
const WORDS = "first\ntwin\ntwin\nümlaut and a long line\n\nwithout an end";

function begin(): LogPosition {
  return { stamp: "", lines: 0, bytes: 0 };
}

/** The log as a node gives it from the second of the position on. */
function logSince(position: LogPosition): Buffer {
  const from = sinceTime(position)?.slice(0, 19) ?? "";
  const kept = LOG.split(/(?<=\n)/).filter((line) => line.slice(0, 19) >= from);
  return Buffer.from(kept.join(""));
}

it("gives a log without its times, however it is cut into pieces", () => {
  for (let size = 1; size < 40; size += 1) {
    const lines = createStampedLines(begin());
    const log = Buffer.from(LOG);
    const words: Buffer[] = [];
    for (let from = 0; from < log.length; from += size) words.push(...lines.feed(log.subarray(from, from + size)));
    expect(Buffer.concat(words).toString()).toBe(WORDS);
  }
});

it("goes on after a cut at any byte without losing or repeating one", () => {
  const length = Buffer.byteLength(LOG);
  for (let cut = 0; cut <= length; cut += 1) {
    const position = begin();
    const before = createStampedLines(position).feed(Buffer.from(LOG).subarray(0, cut));
    const after = createStampedLines(position).feed(logSince(position));
    expect(Buffer.concat([...before, ...after]).toString(), `cut at byte ${cut}`).toBe(WORDS);
  }
});

it("takes times of other zones for what they are", () => {
  const position = begin();
  createStampedLines(position).feed(Buffer.from("2026-11-21T10:00:00.5+02:00 a\n"));
  expect(sinceTime(position)).toBe("2026-11-21T08:00:00.000Z");
  expect(createStampedLines(position).feed(Buffer.from("2026-11-21T08:00:00.500000000Z a\n"))).toEqual([]);
});

it("keeps the node's own messages out of the log", () => {
  const lines = createStampedLines(begin());
  expect(lines.feed(Buffer.from(`unable to retrieve container logs for containerd://0\n${at(1)} word\n`))).toEqual([
    Buffer.from("word\n"),
  ]);
  expect(lines.foreign()).toBe("unable to retrieve container logs for containerd://0");
});
