import { expect, it } from "vitest";
import { batches } from "./event-push.ts";

const sized = (src_seq: number, characters: number) => ({
  event: { v: 1 as const, type: "log", ts: "2026-11-21T00:00:00Z", src_seq, data: {} },
  characters,
});
const numbers = (events: ReturnType<typeof sized>[]) =>
  [...batches(events)].map((batch) => batch.map((event) => event.src_seq));

it("makes no request of nothing", () => {
  expect(numbers([])).toEqual([]);
});

it("keeps the order and bounds the number of events in a request", () => {
  const many = Array.from({ length: 450 }, (_, index) => sized(index + 1, 10));
  const cut = numbers(many);
  expect(cut.map((batch) => batch.length)).toEqual([200, 200, 50]);
  expect(cut.flat()).toEqual(many.map(({ event }) => event.src_seq));
});

it("bounds the size of a request, and sends what is larger than that alone", () => {
  expect(numbers([sized(1, 200_000), sized(2, 200_000), sized(3, 400_000), sized(4, 1)])).toEqual([[1], [2], [3], [4]]);
});
