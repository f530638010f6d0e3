/** EVENTS_MODE=redis: a real stream, a user who may do nothing but append to it, and a wire that can be cut. */
import { randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { inStream, streamUser } from "@vision-platform/contracts/names";
import { Redis } from "ioredis";
import type { EventDoor, Ids } from "./door.ts";
import { createInbox } from "./inbox.ts";
import type { Servers } from "./servers.ts";

const POLL_MS = 100;

/** As a worker makes it (services/worker/src/events/stream-access.ts), with a wire of our own in between. */
export async function openRedisDoor(servers: Servers, ids: Ids): Promise<EventDoor> {
  const inbox = createInbox();
  const admin = new Redis(servers.redisUrl, { maxRetriesPerRequest: 3 });
  const tail = admin.duplicate();
  const [stream, user, password] = [
    inStream(ids.job_id, ids.attempt),
    streamUser(ids.job_id, ids.attempt),
    randomBytes(24).toString("hex"),
  ];
  await admin.call("ACL", "SETUSER", user, ...["reset", "on", `>${password}`, `~${stream}`, "-@all"], ...ALLOWED);
  const wire = await openWire(new URL(servers.redisUrl), ids.address);
  let open = true;
  let last = "0-0";

  async function read(block: number): Promise<void> {
    const answer = await tail.xread("COUNT", 500, "BLOCK", block, "STREAMS", stream, last);
    for (const [id, fields] of answer?.[0]?.[1] ?? []) {
      last = id;
      const event = inbox.accept(fields[1] ?? "");
      if (fields.length !== 2 || fields[0] !== "e") inbox.complaints.push(`entry ${id} is not one field e`);
      if (event && id !== `${event.src_seq}-0`) inbox.complaints.push(`entry ${id} holds src_seq ${event.src_seq}`);
    }
  }
  const reading = (async () => {
    while (open) await read(POLL_MS).catch(() => undefined);
  })();

  return {
    inbox,
    variables: {
      EVENTS_MODE: "redis",
      EVENTS_REDIS_URL: `redis://${user}:${password}@${ids.address}:${wire.port}`,
      EVENTS_STREAM: stream,
    },
    secrets: [password],
    setDown: (down) => wire.setDown(down),
    async close() {
      open = false;
      await reading;
      inbox.complaints.push(...(await refusedCommands(admin, user)));
      await admin.call("ACL", "DELUSER", user);
      await admin.del(stream);
      admin.disconnect();
      tail.disconnect();
      await wire.close();
    },
  };
}

const ALLOWED = ["+xadd", "+ping", "+hello", "+auth"];

/** What the user tried and may not do. */
async function refusedCommands(admin: Redis, user: string): Promise<string[]> {
  const log = (await admin.call("ACL", "LOG")) as (string | number)[][];
  return log
    .map((entry) => Object.fromEntries(entry.flatMap((item, at) => (at % 2 ? [] : [[item, entry[at + 1]]]))))
    .filter((entry) => entry.username === user && entry.reason !== "auth")
    .map((entry) => `it sent ${entry.object}, which its Redis user may not (${entry.reason})`);
}

/** A TCP connection passed through, until it is cut. */
async function openWire(
  target: URL,
  address: string,
): Promise<{ port: number; setDown(down: boolean): void; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  let down = false;
  const server = createServer((near) => {
    if (down) return void near.destroy();
    const far = connect(Number(target.port || 6379), target.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on("error", () => other.destroy());
      one.once("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise<void>((listening) => server.listen(0, address, listening));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    setDown(wanted) {
      down = wanted;
      if (down) cut();
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        cut();
      }),
  };
}
