import { expect, test } from "vitest";
import { judge, LIMITS } from "./back-pressure.ts";

const NOW = 1_000_000;
const state = { isWritable: false, waitingPackets: 0, waitingBytes: 0, lastReady: NOW, stalled: false };

test.each([
  ["a connection that keeps up", { isWritable: true }, "fine"],
  ["a burst that was just handed on", { waitingPackets: 5_000, lastReady: NOW - 10 }, "fine"],
  ["many packets and nothing taken", { waitingPackets: 257, lastReady: NOW - 500 }, "stall"],
  ["many bytes and nothing taken", { waitingBytes: LIMITS.stallBytes + 1, lastReady: NOW - 500 }, "stall"],
  ["a stalled one that still is full", { stalled: true, waitingPackets: 300, lastReady: NOW - 500 }, "fine"],
  ["a stalled one that has drained", { stalled: true, isWritable: true }, "resume"],
  ["nothing taken for half a minute", { lastReady: NOW - 30_001 }, "end"],
  ["an idle one after half a minute", { isWritable: true, lastReady: NOW - 300_000 }, "fine"],
  ["more bytes than this process may hold", { waitingBytes: LIMITS.maxBytes + 1 }, "end"],
])("%s", (_, change, verdict) => {
  expect(judge({ ...state, ...change }, NOW)).toBe(verdict);
});
