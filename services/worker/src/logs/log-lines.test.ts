import { expect, it } from "vitest";
import { createLineSplitter, MAX_MESSAGE_CHARACTERS, MAX_MESSAGES, readLine, toMessages } from "./log-lines.ts";

it("cuts text into lines, wherever the pieces were torn", () => {
  const splitter = createLineSplitter();
  expect(splitter.feed("one\ntw")).toEqual(["one"]);
  expect(splitter.feed("o\n\nthree")).toEqual(["two"]);
  expect(splitter.flush()).toEqual(["three"]);
  expect(splitter.flush()).toEqual([]);
});

it("keeps of a progress bar only what stood there at the end", () => {
  const splitter = createLineSplitter();
  expect(splitter.feed("10%\r20%\r30%\n")).toEqual(["30%"]);
  expect(splitter.feed("40%\r50%\r")).toEqual([]);
  expect(splitter.flush()).toEqual(["50%"]);
});

it("does not grow with a progress bar that never ends its line", () => {
  const splitter = createLineSplitter();
  for (let round = 0; round < 1_000; round += 1) splitter.feed(`${"#".repeat(100)}\r`);
  expect(splitter.flush()[0]?.length).toBeLessThanOrEqual(MAX_MESSAGE_CHARACTERS);
});

it("reads level, message and error of a JSON line, and leaves others as they are", () => {
  expect(readLine('{"level":"warning","message":"m"}')).toEqual({ level: "warning", message: "m" });
  expect(readLine('{"level":"error","message":"m","error":"Traceback"}')).toEqual({
    level: "error",
    message: "m\nTraceback",
  });
  expect(readLine('{"level":1}')).toEqual({ level: "info", message: '{"level":1}' });
  expect(readLine("{not json")).toEqual({ level: "info", message: "{not json" });
});

it("joins lines of one level to messages of bounded size", () => {
  expect(toMessages(["a", "b", '{"level":"error","message":"c"}', "d"])).toEqual([
    { level: "info", message: "a\nb" },
    { level: "error", message: "c" },
    { level: "info", message: "d" },
  ]);
  expect(toMessages(["x".repeat(9_000)])[0]?.message.length).toBe(MAX_MESSAGE_CHARACTERS);
});

it("says in words how many lines it left out, and keeps the newest", () => {
  const lines = Array.from({ length: 100 }, (_, index) => `${index} ${"x".repeat(MAX_MESSAGE_CHARACTERS / 2)}`);
  const messages = toMessages(lines);
  expect(messages).toHaveLength(MAX_MESSAGES + 1);
  expect(messages[0]?.message).toBe("… 96 lines left out here; the log file has them all");
  expect(messages.at(-1)?.message).toMatch(/^99 /);
});
