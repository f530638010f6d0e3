import { setTimeout as sleep } from "node:timers/promises";
import { connectRedis } from "@vision-platform/common/redis";
import { listMembers, putMember, removeMember } from "@vision-platform/contracts/api/projects";
import type { SubscriptionEnded, TrainingComplete, TrainingProgress } from "@vision-platform/contracts/live";
import { outStream } from "@vision-platform/contracts/names";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LIMITS } from "./sockets/back-pressure.ts";
import { MAX_SUBSCRIPTIONS } from "./sockets/subscriptions.ts";
import { type LiveClient, numbersOf, startTestWorld, type TestUser, type TestWorld, until, upTo } from "./testing.ts";

let world: TestWorld;
let url: string;
let owner: TestUser;
let project: number;
beforeAll(async () => {
  world = await startTestWorld();
  url = await world.notifier({ beaconMs: 300 });
  owner = await world.user();
  project = await world.project(owner);
});
afterAll(() => world?.stop());

const tokenOf = (user: TestUser) => user.session.access_token;
const refusal = (client: LiveClient) =>
  new Promise<{ message: string; data?: { code: string } }>((resolve) => client.on("connect_error", resolve));

describe("the handshake", () => {
  it.each([
    ["no token", undefined],
    ["a number", 7],
    ["nothing", ""],
    ["what is no token", "no-token"],
    ["what is far too long", "x".repeat(5000)],
  ])("refuses %s", async (_, token) => {
    const error = await refusal(world.client(url, token));
    expect(error.data).toEqual({ code: "unauthorized" });
  });

  it("says when the gateway is away", async () => {
    const elsewhere = await world.notifier();
    await world.gateway.kill();
    const error = await refusal(world.client(elsewhere, tokenOf(owner)));
    expect(error.data).toEqual({ code: "unavailable" });
    await world.gateway.start();
  });

  it("ends the subscriptions, then the connection, when the token runs out", async () => {
    const job = await world.job(owner, project);
    const client = world.client(url, world.shortToken(owner.session.user.id, 5));
    const ended: SubscriptionEnded[] = [];
    client.on("subscription_ended", (one) => ended.push(one));
    await client.emitWithAck("subscribe", `job:${job.id}`);
    await client.emitWithAck("subscribe", `project:${project}`);
    await new Promise((resolve) => client.once("disconnect", resolve));
    expect(ended).toEqual([
      { job_id: job.id, reason: "token_expired" },
      { project_id: project, reason: "token_expired" },
    ]);
  });
});

describe("subscribe", () => {
  it("refuses what is no subscription, is not there, or is somebody else's", async () => {
    const job = await world.job(owner, project);
    const stranger = world.client(url, tokenOf(await world.user()));
    const ask = (request: unknown) => stranger.emitWithAck("subscribe", request as string);
    expect(await ask("job:0")).toMatchObject({ ok: false, code: "bad_request" });
    expect(await ask({ job_id: job.id, after: -1 })).toMatchObject({ ok: false, code: "bad_request" });
    expect(await ask(null)).toMatchObject({ ok: false, code: "bad_request" });
    expect(await ask("job:999999999")).toMatchObject({ ok: false, code: "not_found" });
    expect(await ask("project:999999999")).toMatchObject({ ok: false, code: "not_found" });
    expect(await ask(`job:${job.id}`)).toMatchObject({ ok: false, code: "forbidden" });
    expect(await ask(`project:${project}`)).toMatchObject({ ok: false, code: "forbidden" });
    const mine = world.client(url, tokenOf(owner));
    expect(await mine.emitWithAck("subscribe", { job_id: job.id, after: 1000 })).toMatchObject({
      ok: false,
      code: "bad_request",
    });
  });

  it(`allows ${MAX_SUBSCRIPTIONS} on one connection`, async () => {
    const job = await world.job(owner, project);
    const client = world.client(url, tokenOf(owner));
    const asked = await Promise.all(
      upTo(MAX_SUBSCRIPTIONS + 5).map(() => client.emitWithAck("subscribe", `job:${job.id}`)),
    );
    expect(asked.filter((answer) => !answer.ok)).toEqual(
      Array(5).fill(expect.objectContaining({ ok: false, code: "limit" })),
    );
  });

  it("replays from the cursor, then goes live; without a cursor it is live from the head", async () => {
    const job = await world.job(owner, project);
    await job.push(700);
    const [all, some, live] = [1, 2, 3].map(() => world.client(url, tokenOf(owner))) as [
      LiveClient,
      LiveClient,
      LiveClient,
    ];
    const numbers = { all: numbersOf(all, job.id), some: numbersOf(some, job.id), live: numbersOf(live, job.id) };
    const pushing = job.push(500);
    const answer = await all.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    expect(answer).toMatchObject({ ok: true, state: "RUNNING" });
    await some.emitWithAck("subscribe", { job_id: job.id, after: 650 });
    const head = await live.emitWithAck("subscribe", `job:${job.id}`);
    await pushing;
    await job.push(10);
    const last = (await all.emitWithAck("subscribe", `job:${job.id}`)) as { head: number };
    await until(() => [numbers.all, numbers.some, numbers.live].every((list) => list.at(-1) === last.head));
    expect(numbers.all).toEqual(upTo(last.head));
    expect(numbers.some).toEqual(upTo(last.head, 651));
    expect(numbers.live).toEqual(upTo(last.head, (head as { head: number }).head + 1));
  });

  it("gives every event of a project's jobs, also of jobs made later, until unsubscribed", async () => {
    const early = await world.job(owner, project);
    const client = world.client(url, tokenOf(owner));
    expect(await client.emitWithAck("subscribe", `project:${project}`)).toEqual({ ok: true, head: 0 });
    const earlyNumbers = numbersOf(client, early.id);
    await early.push(5);
    const seen = new Map<number, number[]>();
    client.on("job_event", (event) => seen.set(event.job_id, [...(seen.get(event.job_id) ?? []), event.seq]));
    const late = await world.job(owner, project);
    await late.push(5);
    await until(() => (seen.get(late.id)?.length ?? 0) >= late.head && earlyNumbers.length >= 5);
    expect(seen.get(late.id)).toEqual(upTo(seen.get(late.id)?.length ?? 0));
    // What was committed just before the subscription may still be on its way: then it comes too, in order.
    const [first = 0, last = 0] = [earlyNumbers[0], earlyNumbers.at(-1)];
    expect(earlyNumbers).toEqual(upTo(last, first));
    expect(first).toBeLessThanOrEqual(last - 4);
    expect(await client.emitWithAck("unsubscribe", `project:${project}`)).toEqual({ ok: true });
    const before = seen.get(late.id)?.length;
    await late.push(3);
    await sleep(300);
    expect(seen.get(late.id)?.length).toBe(before);
  });
});

describe("plain events", () => {
  it("tells the figures of a training and its end", async () => {
    const job = await world.job(owner, project);
    const client = world.client(url, tokenOf(owner));
    const figures: TrainingProgress[] = [];
    const ends: TrainingComplete[] = [];
    client.on("training_progress", (one) => figures.push(one));
    client.on("training_complete", (one) => ends.push(one));
    await client.emitWithAck("subscribe", `job:${job.id}`);
    const progress = (epoch: number) => ({
      type: "progress",
      data: { epoch, epochs: 3, step: epoch, steps: 3, pct: epoch * 33, eta_s: 9, samples_per_s: 100 },
    });
    await job.push(upTo(100).map((step) => progress(1 + (step % 2))));
    await job.push([
      progress(3),
      { type: "metrics", data: { scope: "epoch", split: "train", epoch: 3, step: 3, values: { "train/loss": 0.5 } } },
    ]);
    await job.push([
      {
        type: "metrics",
        data: { scope: "epoch", split: "val", epoch: 3, step: 3, values: { "val/top1": 0.9, "val/loss": 0.6 } },
      },
    ]);
    await job.fail();
    await until(() => ends.length > 0);
    expect(figures.at(-1)).toEqual({
      job_id: job.id,
      epoch: 3,
      epochs: 3,
      pct: 99,
      eta_s: 9,
      loss: 0.5,
    });
    expect(figures.length).toBeLessThan(20);
    expect(ends).toEqual([{ job_id: job.id, status: "FAILED", metrics: expect.any(Object) }]);

    const later = world.client(url, tokenOf(owner));
    const again = new Promise((resolve) => later.once("training_complete", resolve));
    await later.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    expect(await again).toMatchObject({ job_id: job.id, status: "FAILED" });
  });
});

describe("what goes wrong on the way", () => {
  it("repairs lost publications from the beacon alone", async () => {
    const silent = new URL(world.redisUrl);
    silent.pathname = "/0";
    const deaf = await world.notifier({ beaconMs: 200 }, silent.href);
    const job = await world.job(owner, project);
    const client = world.client(deaf, tokenOf(owner));
    const numbers = numbersOf(client, job.id);
    await client.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    await job.push(600);
    await until(() => numbers.length >= job.head);
    expect(numbers).toEqual(upTo(job.head));
  });

  it("drops what is published twice, and heals what comes out of order", async () => {
    const job = await world.job(owner, project);
    const client = world.client(url, tokenOf(owner));
    const numbers = numbersOf(client, job.id);
    await client.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    await job.push(20);
    await until(() => numbers.length >= job.head);
    const redis = connectRedis(world.redisUrl, "blocking");
    const entries = await redis.xrange(outStream(job.id), "-", "+");
    for (const [, fields] of entries.reverse()) await redis.xadd(outStream(job.id), "*", ...fields);
    await redis.quit();
    await job.push(5);
    await until(() => numbers.length >= job.head);
    expect(numbers).toEqual(upTo(job.head));
  });

  it("goes on when the gateway comes back", async () => {
    const job = await world.job(owner, project);
    const client = world.client(url, tokenOf(owner));
    const numbers = numbersOf(client, job.id);
    await client.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    await world.gateway.kill();
    await sleep(700);
    await world.gateway.start();
    await job.push(5);
    await until(() => numbers.length >= job.head);
    expect(numbers).toEqual(upTo(job.head));
  });

  it("ends the subscription of somebody who is no longer a member", async () => {
    const guest = await world.user();
    const body = { email: guest.session.user.email, role: "viewer" as const };
    const { user_id } = await owner.call(putMember, { params: { project_id: project }, body });
    const job = await world.job(owner, project);
    const client = world.client(url, tokenOf(guest));
    const numbers = numbersOf(client, job.id);
    const ended: SubscriptionEnded[] = [];
    client.on("subscription_ended", (one) => ended.push(one));
    expect(await client.emitWithAck("subscribe", `job:${job.id}`)).toMatchObject({ ok: true });
    expect(await client.emitWithAck("subscribe", `project:${project}`)).toMatchObject({ ok: true });
    await owner.call(removeMember, { params: { project_id: project, user_id } });
    await until(() => ended.length === 2);
    expect(ended).toContainEqual({ job_id: job.id, reason: "forbidden" });
    expect(ended).toContainEqual({ project_id: project, reason: "forbidden" });
    const before = numbers.length;
    await job.push(3);
    await sleep(300);
    expect(numbers.length).toBe(before);
    expect((await owner.call(listMembers, { params: { project_id: project } })).items).toHaveLength(1);
  });

  it("serves the same from any number of notifiers", async () => {
    const other = await world.notifier();
    const job = await world.job(owner, project);
    const clients = [world.client(url, tokenOf(owner)), world.client(other, tokenOf(owner))];
    const numbers = clients.map((client) => numbersOf(client, job.id));
    for (const client of clients) await client.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    await job.push(50);
    await until(() => numbers.every((list) => list.length >= job.head));
    expect(numbers).toEqual([upTo(job.head), upTo(job.head)]);
  });
});

describe("a client that does not read", () => {
  const socketOf = (client: LiveClient) =>
    (client.io.engine.transport as unknown as { ws: { _socket: { pause(): void; resume(): void } } }).ws._socket;
  const fill = upTo(400).map(() => ({ type: "log", data: { level: "info", message: "x".repeat(7000) } }));

  it("gets everything in order when it reads again, and holds up nobody", async () => {
    const patient = await world.notifier({ limits: { ...LIMITS, stallPackets: 20, patienceMs: 50 } });
    const job = await world.job(owner, project);
    const [slow, quick] = [world.client(patient, tokenOf(owner)), world.client(patient, tokenOf(owner))];
    const numbers = [numbersOf(slow, job.id), numbersOf(quick, job.id)];
    for (const client of [slow, quick]) await client.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    socketOf(slow).pause();
    for (let round = 0; round < 5; round += 1) await job.push(fill);
    await until(() => numbers[1]?.length === job.head);
    expect(numbers[0]?.length).toBeLessThan(job.head);
    const metrics = await (await fetch(`${patient}/metrics`)).text();
    expect(metrics).toMatch(/vision_platform_live_stalled_sockets\{[^}]*\} 1/);
    socketOf(slow).resume();
    await until(() => numbers[0]?.length === job.head);
    expect(numbers).toEqual([upTo(job.head), upTo(job.head)]);
  });

  it("is let go when it takes nothing for too long", async () => {
    const strict = await world.notifier({ limits: { ...LIMITS, stallPackets: 20, patienceMs: 50, giveUpMs: 800 } });
    const job = await world.job(owner, project);
    const client = world.client(strict, tokenOf(owner));
    await client.emitWithAck("subscribe", { job_id: job.id, after: 0 });
    client.io.reconnection(false);
    socketOf(client).pause();
    for (let round = 0; round < 5; round += 1) await job.push(fill);
    await until(async () =>
      /vision_platform_live_sockets\{[^}]*\} 0/.test(await (await fetch(`${strict}/metrics`)).text()),
    );
    socketOf(client).resume();
  });
});

it("is alive and ready, and says what it is not ready for", async () => {
  expect((await fetch(`${url}/health`)).status).toBe(200);
  const ready = await fetch(`${url}/ready`);
  expect(await ready.json()).toMatchObject({ status: "ready", parts: { gateway: "ok", redis: "ok" } });
});
