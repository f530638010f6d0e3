/** Whatever is lost, repeated, reordered or late: every reader sees each event once, in order, up to the last. */
import type { JobHead } from "@vision-platform/contracts/api/internal";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Reader } from "../readers/reader.ts";
import { Feeds } from "./feeds.ts";

const PROJECT = 1;
const JOBS = [1, 2, 3];

function event(job_id: number, seq: number): JobEvent {
  const trace_id = "1".repeat(32);
  const ts = "2026-11-21T00:00:00Z";
  return { v: 1, job_id, project_id: PROJECT, seq, attempt: 1, src: "trainer", type: "log", ts, trace_id, data: {} };
}

/** One client's view: what it was sent of each job, and from where on that must be without a gap. */
class Client {
  readonly seen = new Map<number, number[]>();
  /** The first event it must see; not exact: it may begin earlier, but not later. */
  readonly from = new Map<number, { seq: number; exact: boolean }>();
  readonly held = new Set<number>();
  readonly rooms = new Set<string>();
  readonly reader = new Reader(1, {
    send: (sent) => this.receive(sent),
    hold: (jobId) => this.held.add(jobId),
    release: (jobId) => this.held.delete(jobId),
    drained: async () => true,
  });

  forget(jobId: number): void {
    this.from.delete(jobId);
    this.seen.delete(jobId);
  }

  receive({ job_id, seq }: JobEvent): void {
    this.seen.set(job_id, [...(this.seen.get(job_id) ?? []), seq]);
  }
}

/** A gateway that commits, and a network that does with what is published whatever the run says. */
class World {
  readonly committed = new Map<number, number>();
  readonly wire: JobEvent[] = [];
  readonly clients = [new Client(), new Client(), new Client()];
  readonly waiting: (() => void)[] = [];
  isGatewayUp = true;
  readonly feeds = new Feeds(
    {
      replay: async (jobId, after) => {
        await this.#later();
        if (!this.isGatewayUp) throw new Error("down");
        const last = Math.min(this.committed.get(jobId) ?? 0, after + 3);
        return Array.from({ length: Math.max(0, last - after) }, (_, index) => event(jobId, after + 1 + index));
      },
      pause: () => this.#later(),
    },
    (jobId) => ({
      seed: () => undefined,
      close: () => undefined,
      publish: (published) => {
        for (const one of this.clients) {
          const isInRoom = one.rooms.has(`job:${jobId}`) || one.rooms.has(`project:${PROJECT}`);
          if (isInRoom && !one.held.has(jobId)) one.receive(published);
        }
      },
    }),
  );

  #later(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  head(job_id: number): JobHead {
    return {
      job_id,
      project_id: PROJECT,
      state: "RUNNING",
      last_seq: this.committed.get(job_id) ?? 0,
      progress: {},
      primary_metric: null,
    };
  }

  heads(): JobHead[] {
    return [...this.committed.keys()].map((jobId) => this.head(jobId));
  }

  commit(jobId: number): void {
    const seq = (this.committed.get(jobId) ?? 0) + 1;
    this.committed.set(jobId, seq);
    this.wire.push(event(jobId, seq));
  }

  /** The head is read at once, the answer arrives when the run says so. */
  async subscribe(client: Client, jobId: number, after: number | undefined): Promise<void> {
    if (!this.committed.has(jobId)) return;
    this.feeds.openJob(jobId);
    const head = this.head(jobId);
    await this.#later();
    const cursor = after === undefined ? undefined : Math.min(after, head.last_seq);
    client.rooms.add(`job:${jobId}`);
    if (cursor !== undefined || !client.from.has(jobId)) {
      client.from.set(jobId, { seq: (cursor ?? head.last_seq) + 1, exact: true });
      client.seen.set(jobId, []);
    }
    this.feeds.joinJob(client.reader, head, cursor);
  }

  async subscribeProject(client: Client): Promise<void> {
    this.feeds.openProject(PROJECT);
    const heads = this.heads();
    await this.#later();
    client.rooms.add(`project:${PROJECT}`);
    this.feeds.joinProject(client.reader, PROJECT, heads);
    // Live from the acknowledgement on; a job that is heard of later is followed from its first event.
    const known = new Map(this.feeds.feedsOf(client.reader).map((feed) => [feed.jobId, feed.head ?? 0]));
    for (const jobId of JOBS) {
      if (!client.from.has(jobId)) client.from.set(jobId, { seq: (known.get(jobId) ?? 0) + 1, exact: false });
    }
  }

  leave(client: Client, jobId: number): void {
    client.rooms.delete(`job:${jobId}`);
    this.feeds.leaveJob(client.reader, jobId);
    if (!client.rooms.has(`project:${PROJECT}`)) client.forget(jobId);
  }

  leaveProject(client: Client): void {
    client.rooms.delete(`project:${PROJECT}`);
    this.feeds.leaveProject(client.reader, PROJECT);
    for (const jobId of JOBS) if (!client.rooms.has(`job:${jobId}`)) client.forget(jobId);
  }

  async beat(): Promise<void> {
    const unsettled = this.feeds.unsettled();
    const heads = this.heads();
    await this.#later();
    if (!this.isGatewayUp) return;
    this.feeds.applyHeads(heads, unsettled);
    for (const client of this.clients) client.reader.retry();
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const job = fc.constantFrom(...JOBS);
const client = fc.nat(2);
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant("commit" as const), job }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("deliver" as const), which: fc.nat(5), keep: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("lose" as const), which: fc.nat(5) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("answer" as const), which: fc.nat(5) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("subscribe" as const),
        client,
        job,
        after: fc.option(fc.nat(6), { nil: undefined }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("project" as const), client }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), client, job }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("leaveProject" as const), client }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("stall" as const), client }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("resume" as const), client }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("gateway" as const), up: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("beat" as const) }) },
  ),
  { maxLength: 120, size: "max" },
);
type Step = typeof steps extends fc.Arbitrary<(infer One)[]> ? One : never;

function play(world: World, step: Step): void {
  switch (step.do) {
    case "commit":
      world.commit(step.job);
      return;
    case "deliver": {
      const index = step.which % Math.max(1, world.wire.length);
      const [published] = step.keep ? world.wire.slice(index, index + 1) : world.wire.splice(index, 1);
      if (published !== undefined) world.feeds.accept(published);
      return;
    }
    case "lose":
      world.wire.splice(step.which % Math.max(1, world.wire.length), 1);
      return;
    case "answer":
      world.waiting.splice(step.which % Math.max(1, world.waiting.length), 1)[0]?.();
      return;
    case "subscribe":
      void world.subscribe(world.clients[step.client] as Client, step.job, step.after);
      return;
    case "project":
      void world.subscribeProject(world.clients[step.client] as Client);
      return;
    case "leave":
      world.leave(world.clients[step.client] as Client, step.job);
      return;
    case "leaveProject":
      world.leaveProject(world.clients[step.client] as Client);
      return;
    case "stall": {
      const { reader } = world.clients[step.client] as Client;
      reader.stall(world.feeds.feedsOf(reader));
      return;
    }
    case "resume":
      (world.clients[step.client] as Client).reader.resume();
      return;
    case "gateway":
      world.isGatewayUp = step.up;
      return;
    case "beat":
      void world.beat();
  }
}

async function settle(world: World): Promise<void> {
  world.isGatewayUp = true;
  for (const { reader } of world.clients) reader.resume();
  for (let round = 0; round < 6; round += 1) {
    void world.beat();
    do {
      for (const answer of world.waiting.splice(0)) answer();
      await turn();
    } while (world.waiting.length > 0);
  }
}

function check(world: World): void {
  for (const { seen, from, rooms } of world.clients) {
    for (const [jobId, { seq, exact }] of from) {
      if (!rooms.has(`job:${jobId}`) && !rooms.has(`project:${PROJECT}`)) continue;
      const last = world.committed.get(jobId) ?? 0;
      const got = seen.get(jobId) ?? [];
      const start = exact ? seq : Math.min(got[0] ?? seq, seq);
      expect(got).toEqual(Array.from({ length: Math.max(0, last - start + 1) }, (_, index) => start + index));
    }
  }
}

test("every interleaving of commits, losses, repeats, subscriptions and stalls converges to 1…n once, in order", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (run) => {
      const world = new World();
      for (const step of run) {
        play(world, step);
        await turn();
      }
      await settle(world);
      check(world);
    }),
    { numRuns: 500 },
  );
});
