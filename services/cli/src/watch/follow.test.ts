/** The reader's rule under every way a connection can behave: each event once, in order, to the last. */
import type { JobEvent } from "@vision-platform/contracts/job-events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type EventSource, SourceRefused } from "./event-source.ts";
import { type FollowOptions, follow } from "./follow.ts";

function event(seq: number): JobEvent {
  const trace_id = "1".repeat(32);
  return {
    v: 1,
    job_id: 6,
    project_id: 1,
    seq,
    attempt: 1,
    src: "trainer",
    type: "log",
    ts: "2026-11-21T00:00:00Z",
    trace_id,
    data: {},
  };
}

/** What one connection does: fail to open, or deliver so many steps from the cursor on and then break. */
type Behaviour = { opens: false } | { opens: true; steps: number[] };

function source(name: string, behaviours: Behaviour[], last: number, asked: number[] = []): EventSource {
  let turn = 0;
  return {
    name,
    async run({ after, onEvent, onOpen }) {
      asked.push(after);
      const behaviour = behaviours[turn++] ?? { opens: true, steps: Array.from({ length: last }, () => 1) };
      if (!behaviour.opens) throw new Error("no connection");
      onOpen();
      let seq = after;
      for (const step of behaviour.steps) {
        seq = Math.max(1, Math.min(last, seq + step));
        onEvent(event(seq));
      }
      throw new Error("connection lost");
    },
  };
}

async function collect(sources: EventSource[], last: number, more: Partial<FollowOptions> = {}) {
  const seen: number[] = [];
  const links: string[] = [];
  const end = await follow({
    jobId: 6,
    after: 0,
    sources,
    signal: new AbortController().signal,
    pause: () => 0,
    onLink: (link) => links.push(link),
    onEvent({ seq }) {
      seen.push(seq);
      return seq === last;
    },
    ...more,
  });
  return { seen, links, end };
}

test("losses, repeats, jumps and broken connections of two sources converge to 1…n", async () => {
  const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
    fc.constant({ opens: false as const }),
    fc.record({
      opens: fc.constant(true as const),
      steps: fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 20 }),
    }),
  );
  const script = fc.array(behaviour, { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(script, script, fc.integer({ min: 1, max: 15 }), async (first, second, last) => {
      const { seen, end } = await collect([source("notifier", first, last), source("gateway", second, last)], last);
      expect(seen).toEqual(Array.from({ length: last }, (_, index) => index + 1));
      expect(end).toBe(last);
    }),
  );
});

test("a source that breaks is asked again from the cursor, and the loss is told once", async () => {
  const asked: number[] = [];
  const down: Behaviour = { opens: false };
  const { links } = await collect([source("notifier", [{ opens: true, steps: [1, 1, 1] }, down, down], 5, asked)], 5);
  expect(asked).toEqual([0, 3, 3, 3]);
  expect(links).toEqual(["reconnecting", "connected"]);
});

test("where the first way is closed the second is taken without a word", async () => {
  const { seen, links } = await collect([source("notifier", [{ opens: false }], 3), source("gateway", [], 3)], 3);
  expect(seen).toEqual([1, 2, 3]);
  expect(links).toEqual([]);
});

test("it stops when the watcher leaves", async () => {
  const stop = new AbortController();
  const seen: number[] = [];
  const onEvent = ({ seq }: JobEvent) => {
    seen.push(seq);
    if (seq === 2) stop.abort();
    return false;
  };
  const { end } = await collect([source("gateway", [{ opens: true, steps: [1, 1] }], 9)], 9, {
    signal: stop.signal,
    onEvent,
  });
  expect(end).toBe(2);
});

test("a refusal of every way is final", async () => {
  const refusing = (name: string): EventSource => ({
    name,
    run: () => Promise.reject(new SourceRefused("forbidden", "not yours")),
  });
  await expect(collect([refusing("notifier"), refusing("gateway")], 1)).rejects.toThrow("not yours");
});
