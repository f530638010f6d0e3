import { expect, it } from "vitest";
import { createLineSplitter, MAX_MESSAGE_CHARACTERS, MAX_MESSAGES, readLine, toMessages } from "./log-lines.ts";

const texts = (lines: { text: string }[]) => lines.map(({ text }) => text);
const bytes = (text: string) => Buffer.from(text);
const lines = (all: string[]) => all.map((text, index) => ({ text, offset: index + 1 }));

it("cuts bytes into lines, wherever the pieces were torn, and knows where each ends", () => {
  const splitter = createLineSplitter();
  expect(splitter.feed(bytes("one\ntw"))).toEqual([{ text: "one", offset: 4 }]);
  expect(splitter.feed(bytes("o\n\nthree"))).toEqual([{ text: "two", offset: 8 }]);
  expect(splitter.flush()).toEqual([{ text: "three", offset: 14 }]);
  expect(splitter.flush()).toEqual([]);
});

it("counts bytes, not characters, and puts together what was torn within one", () => {
  const splitter = createLineSplitter(100);
  const umlaut = bytes("ümlaut\n");
  expect(splitter.feed(umlaut.subarray(0, 1))).toEqual([]);
  expect(splitter.feed(umlaut.subarray(1))).toEqual([{ text: "ümlaut", offset: 108 }]);
});

it("gives the same lines and ends wherever a second reader goes on", () => {
  const file = bytes("one\n\ntwo with ümlauts and 日本語\n10%\r20%\r\n{}\nno end");
  const whole = createLineSplitter().feed(file);
  for (let cut = 0; cut <= file.length; cut += 1) {
    const first = createLineSplitter().feed(file.subarray(0, cut));
    const from = first.at(-1)?.offset ?? 0;
    expect([...first, ...createLineSplitter(from).feed(file.subarray(from))]).toEqual(whole);
  }
});

it("keeps of a progress bar only what stood there at the end", () => {
  const splitter = createLineSplitter();
  expect(texts(splitter.feed(bytes("10%\r20%\r30%\n")))).toEqual(["30%"]);
  expect(splitter.feed(bytes("40%\r50%\r"))).toEqual([]);
  expect(splitter.flush()).toEqual([{ text: "50%", offset: 20 }]);
});

it("does not grow with a progress bar that never ends its line", () => {
  const splitter = createLineSplitter();
  for (let round = 0; round < 1_000; round += 1) splitter.feed(bytes(`${"#".repeat(100)}\r`));
  expect(splitter.flush()[0]?.text.length).toBeLessThanOrEqual(MAX_MESSAGE_CHARACTERS);
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
  expect(toMessages(lines(["a", "b", '{"level":"error","message":"c"}', "d"]))).toEqual([
    { level: "info", message: "a\nb", offset: 2 },
    { level: "error", message: "c", offset: 3 },
    { level: "info", message: "d", offset: 4 },
  ]);
  expect(toMessages(lines(["x".repeat(9_000)]))[0]?.message.length).toBe(MAX_MESSAGE_CHARACTERS);
});

it("says in words how many lines it left out, and keeps the newest", () => {
  const many = Array.from({ length: 100 }, (_, index) => `${index} ${"x".repeat(MAX_MESSAGE_CHARACTERS / 2)}`);
  const messages = toMessages(lines(many));
  expect(messages).toHaveLength(MAX_MESSAGES + 1);
  expect(messages[0]).toMatchObject({ message: "… 96 lines left out here; the log file has them all", offset: 96 });
  expect(messages.at(-1)?.message).toMatch(/^99 /);
});
