import type { JobEvent } from "@vision-platform/contracts/job-events";
import { outStream } from "@vision-platform/contracts/names";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type OutStreamReader, readOutStream } from "./out-stream.ts";
import { connectRedis } from "./redis.ts";

/** A logical database of its own: other test files use other numbers. */
const url = `${process.env.TEST_REDIS_URL ?? "redis://127.0.0.1:6379"}/15`;
const writer = connectRedis(url, "blocking");
let reader: OutStreamReader | undefined;

function event(job_id: number, seq: number): JobEvent {
  const trace_id = "0af7651916cd43dd8448eb211c80319c";
  return {
    v: 1,
    job_id,
    project_id: 1,
    seq,
    attempt: 1,
    src: "trainer",
    type: "log",
    ts: "2026-11-21T08:00:00Z",
    trace_id,
    data: {},
  };
}
const publish = (each: JobEvent, id = "*") => writer.xadd(outStream(each.job_id), id, "e", JSON.stringify(each));

async function follow(): Promise<JobEvent[]> {
  const seen: JobEvent[] = [];
  reader = readOutStream(connectRedis(url, "blocking"), pino({ level: "silent" }), (each) => seen.push(each));
  await reader.ready;
  return seen;
}

beforeEach(() => writer.flushdb());
afterEach(() => reader?.stop());

it("hands over what is committed after it is ready, in the order of each job, and nothing older", async () => {
  await publish(event(1, 1));
  const seen = await follow();
  for (let seq = 2; seq <= 20; seq++) await Promise.all([publish(event(1, seq)), publish(event(2, seq))]);
  await vi.waitFor(() => expect(seen).toHaveLength(38), { timeout: 5000 });
  expect(seen.filter((each) => each.job_id === 1).map((each) => each.seq)).toEqual(
    Array.from({ length: 19 }, (_, n) => n + 2),
  );
});

it("reads on after the connection was cut", async () => {
  const seen = await follow();
  await writer.client("KILL", "TYPE", "normal", "SKIPME", "yes");
  await publish(event(3, 1));
  await vi.waitFor(() => expect(seen.map((each) => each.seq)).toContain(1), { timeout: 10_000 });
});

it("passes over an entry that is not JSON", async () => {
  const seen = await follow();
  await writer.xadd(outStream(1), "*", "e", "{");
  await publish(event(1, 1));
  await vi.waitFor(() => expect(seen).toHaveLength(1), { timeout: 5000 });
});
