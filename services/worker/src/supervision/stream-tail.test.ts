import { expect, it } from "vitest";
import { readEntry } from "./stream-tail.ts";

const event = { v: 1, type: "log", ts: "2026-11-21T00:00:00Z", src_seq: 7, data: { level: "info", message: "m" } };

it("reads an event; its number is the entry's id, whatever the text says", () => {
  expect(readEntry(["7-0", ["e", JSON.stringify(event)]])?.event).toEqual(event);
  expect(readEntry(["8-0", ["e", JSON.stringify(event)]])?.event.src_seq).toBe(8);
});

it("keeps fields that it does not know", () => {
  expect(readEntry(["7-0", ["e", JSON.stringify({ ...event, later: 1 })]])?.event).toMatchObject({ later: 1 });
});

it.each([
  ["text that is not JSON", ["e", "{"]],
  ["JSON that is no object", ["e", "7"]],
  ["an event without a type", ["e", JSON.stringify({ ...event, type: undefined })]],
  ["another version", ["e", JSON.stringify({ ...event, v: 2 })]],
  ["another field", ["f", JSON.stringify(event)]],
  ["no field", []],
  ["more than 16 KiB", ["e", JSON.stringify({ ...event, data: { message: "x".repeat(17_000) } })]],
] as [string, string[]][])("takes no %s", (_what, fields) => {
  expect(readEntry(["7-0", fields])).toBeNull();
});
