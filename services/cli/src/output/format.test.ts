import { expect, test } from "vitest";
import { ago, bytes, count, duration, figure, plain } from "./format.ts";

test.each([
  [0, "0 s"],
  [59.4, "59 s"],
  [59.6, "1 min 00 s"],
  [125, "2 min 05 s"],
  [3_720, "1 h 02 min"],
  [-3, "0 s"],
])("%d seconds are %s", (seconds, text) => expect(duration(seconds)).toBe(text));

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1536, "1.5 KiB"],
  [64 * 1024 ** 2, "64 MiB"],
  [5 * 1024 ** 4, "5.0 TiB"],
])("%d bytes are %s", (size, text) => expect(bytes(size)).toBe(text));

test.each([
  [0.98331, "0.9833"],
  [0.00012345, "1.23e-4"],
  [12, "12"],
  [0, "0"],
  [null, "-"],
  [undefined, "-"],
])("the figure %s is %s", (value, text) => expect(figure(value)).toBe(text));

test("counts and ages", () => {
  expect(count(1797)).toBe("1,797");
  const now = Date.parse("2026-11-21T12:00:00Z");
  expect(ago("2026-11-21T11:58:00Z", now)).toBe("2 min 00 s ago");
  expect(ago("2026-11-18T12:00:00Z", now)).toBe("3 d ago");
});

test("what others wrote cannot steer the terminal", () => {
  expect(plain("a\u001b[31mred\u001b[0m\u0007 b\r\u009b2Jc")).toBe("ared b2Jc");
});
