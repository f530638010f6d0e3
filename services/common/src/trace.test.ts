import { expect, it } from "vitest";
import { continueTrace } from "./trace.ts";

it("goes on with a caller's trace, in a span of its own", () => {
  const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const trace = continueTrace(caller);
  expect(trace.trace_id).toBe("0af7651916cd43dd8448eb211c80319c");
  expect(trace.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  expect(trace.traceparent).not.toBe(caller);
});

it.each([undefined, "", "00-abc", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "x".repeat(5000)])(
  "begins a trace when the header is %s",
  (header) => {
    expect(continueTrace(header).trace_id).toMatch(/^[0-9a-f]{32}$/);
    expect(continueTrace(header).trace_id).not.toBe(continueTrace(header).trace_id);
  },
);
