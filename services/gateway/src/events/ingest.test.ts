import { createApiClient } from "@vision-platform/common/api-client";
import { callbackDone, callbackEvent, callbackHeartbeat } from "@vision-platform/contracts/api/callbacks";
import { getJob } from "@vision-platform/contracts/api/jobs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Claimed, event, type JobWorld, startJobWorld } from "../jobs/job-testing.ts";

let world: JobWorld;
beforeAll(async () => {
  world = await startJobWorld({ background: false });
});
afterAll(() => world?.stop());

const trainer = (attempt: Claimed) => createApiClient(world.url, attempt.callback_token);
const numbers = (length: number, from = 1) => Array.from({ length }, (_, index) => event(from + index));

async function expectGapless(job_id: number): Promise<void> {
  const events = await world.events(job_id);
  expect(events.map((item) => item.seq)).toEqual(events.map((_, index) => index + 1));
  const job = await world.owner.call(getJob, { params: { job_id } });
  expect(job.last_seq).toBe(events.length);
}

describe("ingest", () => {
  it("takes a batch once, through whichever door, and publishes it after the commit", async () => {
    const attempt = await world.running();
    const { redis } = world.gateway;
    expect(await attempt.push(numbers(3))).toEqual({ acked: 3, cancel: false });
    expect(await attempt.push(numbers(3))).toEqual({ acked: 3, cancel: false });
    const params = { job_id: attempt.job_id };
    const http = trainer(attempt);
    expect(await http.call(callbackEvent, { params, body: { events: numbers(4, 2) } })).toEqual({
      acked: 5,
      cancel: false,
    });
    expect(await http.call(callbackEvent, { params, body: event(9) })).toEqual({ acked: 5, cancel: false });
    expect(await http.call(callbackHeartbeat, { params, body: {} })).toEqual({ acked: 5, cancel: false });
    await expectGapless(attempt.job_id);
    const published = await redis.xrange(`vp:out:${attempt.job_id % 8}`, "-", "+");
    const lines = published
      .map(([, fields]) => JSON.parse(fields[1] as string))
      .filter((item) => item.job_id === attempt.job_id);
    expect(lines).toEqual(await world.events(attempt.job_id));
  });

  it("numbers the worker's own events apart from the trainer's", async () => {
    const attempt = await world.running();
    await attempt.push(numbers(2), { source: "worker" });
    await attempt.push(numbers(2));
    const logs = (await world.events(attempt.job_id)).filter((item) => item.type === "log");
    expect(logs.map((item) => item.src)).toEqual(["worker", "worker", "trainer", "trainer"]);
  });

  it("stores what Postgres would refuse, repaired", async () => {
    const attempt = await world.running();
    const nasty = event(1, "log", { level: "info", message: "a\0b\ud800" });
    expect(await attempt.push([nasty])).toEqual({ acked: 1, cancel: false });
    expect((await world.events(attempt.job_id)).at(-1)?.data.message).toBe("a\uFFFDb\uFFFD");
  });

  it("updates progress, metrics, phase and the place to resume from", async () => {
    const attempt = await world.running();
    const values = { "train/loss": 0.5, "val/top1": 0.9 };
    const checkpoint = {
      kind: "last",
      uri: "s3://b/c/",
      sha256: "0".repeat(64),
      bytes: 1,
      epoch: 1,
      step: 2,
      metrics: {},
    };
    await attempt.push([
      event(1, "phase", { name: "training", pct: null }),
      event(2, "progress", { epoch: 1, epochs: 2, step: 5, steps: 10, pct: 50, eta_s: 3, samples_per_s: 100 }),
      event(3, "metrics", { scope: "epoch", split: "val", epoch: 1, step: 5, values }),
      event(4, "checkpoint", checkpoint),
    ]);
    const job = await world.owner.call(getJob, { params: { job_id: attempt.job_id } });
    expect(job).toMatchObject({
      phase: "training",
      metrics: values,
      progress: { epoch: 1, pct: 50, loss: 0.5, accuracy: 0.9 },
    });
    expect(await attempt.finish("preempted")).toEqual({ state: "QUEUED", attempt: 2 });
    const second = await world.claim(attempt.job_id, 2);
    expect(second.resume_uri).toBe(`s3://${world.gateway.config.STORAGE_BUCKET}/jobs/${attempt.job_id}/checkpoints/`);
  });

  it("refuses an older attempt, another lease, a job that is over, and another job's token", async () => {
    const first = await world.running();
    const params = { job_id: first.job_id };
    await first.finish("interrupted");
    const second = await world.claim(first.job_id, 2);
    await expect(first.push(numbers(1))).rejects.toMatchObject({ status: 409, code: "stale" });
    await expect(trainer(first).call(callbackEvent, { params, body: event(1) })).rejects.toMatchObject({
      status: 409,
      code: "stale",
    });
    await expect(trainer(first).call(callbackHeartbeat, { params, body: {} })).rejects.toMatchObject({ status: 409 });
    const other = await world.running();
    await expect(trainer(other).call(callbackEvent, { params, body: event(1) })).rejects.toMatchObject({ status: 401 });
    await second.finish("failed", { failure: { code: "BAD_CONFIG", message: "no" } });
    await expect(second.push(numbers(1))).rejects.toMatchObject({ status: 409, code: "terminal" });
  });

  it("takes only a terminal event at the door `done`", async () => {
    const attempt = await world.running();
    const params = { job_id: attempt.job_id };
    await expect(trainer(attempt).call(callbackDone, { params, body: event(1) })).rejects.toMatchObject({
      status: 422,
    });
    const stopped = event(1, "stopped", { reason: "preempted", resume_uri: null });
    expect(await trainer(attempt).call(callbackDone, { params, body: stopped })).toEqual({ acked: 1, cancel: false });
  });

  it("converges from both doors and over two attempts, whatever is repeated, reordered or sent at once", async () => {
    const delivery = fc.record({
      attempt: fc.constantFrom(1, 2),
      door: fc.boolean(),
      from: fc.nat(11),
      length: fc.integer({ min: 1, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(delivery, { maxLength: 12 }), async (deliveries) => {
        const first = await world.running();
        const params = { job_id: first.job_id };
        const send = async (attempt: Claimed, door: boolean, from: number, length: number) => {
          const events = numbers(length, from + 1)
            .filter((item) => item.src_seq <= 12)
            .toReversed();
          if (events.length === 0) return;
          const sending = door
            ? attempt.push(events)
            : trainer(attempt).call(callbackEvent, { params, body: { events } });
          await sending.catch((error: { status: number }) => expect(error.status).toBe(409));
        };
        await Promise.all(
          deliveries.filter((one) => one.attempt === 1).map((one) => send(first, one.door, one.from, one.length)),
        );
        await first.finish("interrupted");
        const second = await world.claim(first.job_id, 2);
        // What the first attempt still sends is refused; what the second sends is taken.
        await Promise.all(
          deliveries.map((one) => send(one.attempt === 1 ? first : second, one.door, one.from, one.length)),
        );
        await send(second, true, 0, 12);
        await expectGapless(first.job_id);
        const events = await world.events(first.job_id);
        const logs = events
          .filter((item) => item.type === "log" && item.attempt === 2)
          .map((item) => item.data.message);
        expect(logs).toEqual(numbers(12).map((item) => item.data.message));
      }),
      { numRuns: 12 },
    );
  });
});
