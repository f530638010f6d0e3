import { cancelJob, streamJobEvents } from "@vision-platform/contracts/api/jobs";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { afterAll, beforeAll, expect, it } from "vitest";
import { event, type JobWorld, startJobWorld } from "./job-testing.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

interface Reading {
  events: JobEvent[];
  ids: number[];
  status: number;
  /** Resolves when the server ended the stream. */
  ended: Promise<void>;
  stop(): void;
}

async function read(job_id: number, after?: number, headers: Record<string, string> = {}): Promise<Reading> {
  const leave = new AbortController();
  const query = after === undefined ? {} : { after };
  const response = await world.owner.open(streamJobEvents, {
    params: { job_id },
    query,
    headers,
    signal: leave.signal,
  });
  const reading: Reading = {
    events: [],
    ids: [],
    status: response.status,
    ended: Promise.resolve(),
    stop: () => leave.abort(),
  };
  const follow = async () => {
    let text = "";
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      const frames = text.split("\n\n");
      text = frames.pop() as string;
      for (const frame of frames.filter((one) => one.startsWith("id: "))) {
        const [id, name, data] = frame.split("\n") as [string, string, string];
        expect(name).toBe("event: job_event");
        reading.ids.push(Number(id.slice(4)));
        reading.events.push(JSON.parse(data.slice(6)));
      }
    }
  };
  reading.ended = follow().catch(() => undefined);
  return reading;
}

const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

it("replays, goes live and ends with the terminal event; every event once and in order", async () => {
  const attempt = await world.running();
  const reading = await read(attempt.job_id);
  for (let n = 1; n <= 20; n += 1) await attempt.push([event(n)]);
  await attempt.deliver(21);
  await attempt.finish("succeeded");
  await reading.ended;
  const stored = await world.events(attempt.job_id);
  expect(reading.ids).toEqual(upTo(stored.length));
  expect(reading.events).toEqual(stored);
});

it("resumes at the cursor, by header before query; 204 when there is nothing left of a job that is over", async () => {
  const attempt = await world.running();
  const { job_id } = attempt;
  const early = await read(job_id, 2);
  await expect.poll(() => early.ids).toEqual([3, 4]);
  early.stop();
  await attempt.push([event(1), event(2)]);
  const late = await read(job_id, 0, { "last-event-id": "4" });
  await expect.poll(() => late.ids).toEqual([5, 6]);
  await attempt.finish("cancelled");
  await late.ended;
  expect(late.ids).toEqual([5, 6, 7, 8]);
  expect((await read(job_id, 8)).status).toBe(204);
  expect((await read(job_id, 99)).status).toBe(204);
});

it("heals a gap and lost publishes from Postgres", async () => {
  const attempt = await world.running();
  const { gateway } = world;
  const reading = await read(attempt.job_id);
  await expect.poll(() => reading.ids.length).toBe(4);
  const announce = gateway.announcer.announce;
  gateway.announcer.announce = () => undefined;
  await attempt.push([event(1), event(2)]);
  gateway.announcer.announce = announce;
  await attempt.push([event(3)]);
  await expect.poll(() => reading.ids).toEqual(upTo(7));
  // Nothing later arrives that could show the gap: the look at the head does.
  gateway.announcer.announce = () => undefined;
  await attempt.push([event(4)]);
  gateway.announcer.announce = announce;
  await expect.poll(() => reading.ids, { timeout: 8_000 }).toEqual(upTo(8));
  reading.stop();
});

it("takes a burst larger than its buffer", async () => {
  const attempt = await world.running();
  const readings = await Promise.all([1, 2, 3].map(() => read(attempt.job_id)));
  for (let batch = 0; batch < 6; batch += 1) {
    await attempt.push(Array.from({ length: 400 }, (_, index) => event(batch * 400 + index + 1)));
  }
  await attempt.finish("cancelled");
  for (const reading of readings) {
    await reading.ended;
    expect(reading.ids).toEqual(upTo(4 + 2400 + 2));
  }
});

it("ends when the reader may not read any more", async () => {
  const attempt = await world.running();
  const reader = await world.user("reader");
  const members = { project_id: world.project_id, user_id: reader.session.user.id, role: "viewer" as const };
  await world.gateway.db.insertInto("project_members").values(members).execute();
  const params = { job_id: attempt.job_id };
  const response = await reader.open(streamJobEvents, { params });
  await world.gateway.db.deleteFrom("project_members").where("user_id", "=", members.user_id).execute();
  for await (const _ of response.body ?? []);
  await expect(reader.open(streamJobEvents, { params })).rejects.toMatchObject({ status: 403 });
  await world.owner.call(cancelJob, { params });
});
