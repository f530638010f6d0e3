/** EVENTS_MODE=http: the gateway's three callbacks, with answers that a test can make slow, wrong or final. */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventDoor, Ids } from "./door.ts";
import { createInbox, type Inbox, isTerminal } from "./inbox.ts";

export interface CallbackDoor extends EventDoor {
  /** From now on every call is answered 409: another attempt has taken over. Milliseconds since 1970; null: it has not. */
  replacedAt: number | null;
  /** Each answer waits so long. */
  delayMs: number;
  /** Calls that were answered 409. */
  readonly refusedCalls: number;
}

interface Asked {
  door: string;
  events: unknown[];
}

export async function openCallbackDoor(ids: Ids): Promise<CallbackDoor> {
  const inbox = createInbox();
  // The shape of a JWT, which is what the platform hands out.
  const token = [12, 24, 24].map((bytes) => randomBytes(bytes).toString("base64url")).join(".");
  const state = { down: false, refused: 0 };
  const server = createServer((request, answer) => void handle(request, answer).catch(() => answer.destroy()));

  async function handle(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await read(request);
    await sleep(door.delayMs);
    if (state.down) return reply(answer, 503, { title: "Service Unavailable" });
    if (request.headers.authorization !== `Bearer ${token}`) {
      inbox.complaints.push(`${request.url} came without the token of this attempt`);
      return reply(answer, 401, { title: "Unauthorized" });
    }
    const asked = understand(request, body, ids.job_id);
    if (typeof asked === "string") {
      inbox.complaints.push(asked);
      return reply(answer, 404, { title: asked });
    }
    if (door.replacedAt !== null) {
      state.refused += 1;
      return reply(answer, 409, { title: "Conflict", detail: "another attempt has taken over" });
    }
    take(inbox, asked);
    return reply(answer, 200, { acked: contiguous(inbox), cancel: false });
  }

  await new Promise<void>((listening) => server.listen(0, ids.address, listening));
  const url = `http://${ids.address}:${(server.address() as AddressInfo).port}`;
  const door: CallbackDoor = {
    inbox,
    replacedAt: null,
    delayMs: 0,
    get refusedCalls() {
      return state.refused;
    },
    variables: { EVENTS_MODE: "http", CALLBACK_URL: url, CALLBACK_TOKEN: token },
    secrets: [token],
    setDown(down) {
      state.down = down;
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return door;
}

/** Takes what is new and in order; what came before, or leaves a gap, is left out of the count. */
function take(inbox: Inbox, asked: Asked): void {
  for (const event of asked.events) {
    const { src_seq, type } = (event ?? {}) as { src_seq?: number; type?: string };
    if (src_seq !== contiguous(inbox) + 1) continue;
    inbox.accept(JSON.stringify(event));
    if ((asked.door === "done") !== isTerminal(String(type))) {
      inbox.complaints.push(`${type} came to /${asked.door}; the terminal event, and only that, goes to /done`);
    }
  }
}

/** The highest src_seq up to which nothing is missing. */
function contiguous(inbox: Inbox): number {
  return inbox.events.at(-1)?.src_seq ?? 0;
}

function understand(request: IncomingMessage, body: string, jobId: number): Asked | string {
  const door = new RegExp(`^/v1/jobs/${jobId}/(heartbeat|event|done)$`).exec(request.url ?? "")?.[1];
  if (request.method !== "POST" || !door) return `${request.method} ${request.url} is none of the callbacks`;
  if (door === "heartbeat") return { door, events: [] };
  try {
    const parsed = JSON.parse(body) as { events?: unknown[] };
    return { door, events: Array.isArray(parsed.events) ? parsed.events : [parsed] };
  } catch {
    return `the body of /${door} is no JSON`;
  }
}

async function read(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

function reply(answer: ServerResponse, status: number, body: object): void {
  answer.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
