/** Every event of one attempt, in the order in which it arrived, whichever door it came by. */
import { EventEmitter, once } from "node:events";
import { TERMINAL_EVENT_TYPES, TrainerEvent } from "@vision-platform/contracts/trainer-events";

export interface Received {
  /** Milliseconds since 1970, by our clock. */
  at: number;
  /** Exactly as it was sent. */
  raw: string;
  bytes: number;
  type: string;
  src_seq: number;
  ts: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a trainer sends is anything; the schema has its own requirement
  data: any;
  /** What the schema of the contract says against it. */
  problem: string | null;
}

export interface Inbox {
  readonly events: readonly Received[];
  /** Things that were said wrongly, outside of any event: a line that is no JSON, a path that does not exist. */
  readonly complaints: string[];
  accept(raw: string): Received | null;
  of(type: string): Received[];
  terminal(): Received | undefined;
  /** The first event for which `wanted` holds, now or later; undefined when `signal` ends the wait. */
  next(wanted: (event: Received) => boolean, signal: AbortSignal): Promise<Received | undefined>;
}

export function createInbox(): Inbox {
  const events: Received[] = [];
  const complaints: string[] = [];
  const news = new EventEmitter().setMaxListeners(0);

  return {
    events,
    complaints,
    accept(raw) {
      const received = read(raw);
      if (received === null) {
        complaints.push(`an event is no JSON object: ${raw.slice(0, 200)}`);
        return null;
      }
      events.push(received);
      news.emit("event");
      return received;
    },
    of: (type) => events.filter((event) => event.type === type),
    terminal: () => events.find((event) => isTerminal(event.type)),
    async next(wanted, signal) {
      for (;;) {
        const found = events.find(wanted);
        if (found || signal.aborted) return found;
        await once(news, "event", { signal }).catch(() => undefined);
      }
    },
  };
}

export function isTerminal(type: string): boolean {
  return (TERMINAL_EVENT_TYPES as readonly string[]).includes(type);
}

function read(raw: string): Received | null {
  let event: unknown;
  try {
    event = JSON.parse(raw);
  } catch {
    return null;
  }
  if (typeof event !== "object" || event === null || Array.isArray(event)) return null;
  const { type = "", src_seq = Number.NaN, ts = "", data = {} } = event as Record<string, unknown>;
  const parsed = TrainerEvent.safeParse(event);
  const issue = parsed.error?.issues[0];
  return {
    at: Date.now(),
    raw,
    bytes: Buffer.byteLength(raw),
    type: String(type),
    src_seq: Number(src_seq),
    ts: String(ts),
    data: typeof data === "object" && data !== null ? data : {},
    problem: issue ? `${issue.path.join(".") || "it"}: ${issue.message}` : null,
  };
}
