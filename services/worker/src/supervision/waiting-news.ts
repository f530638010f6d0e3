/** Tells people what an attempt waits for before its trainer runs, without flooding them. */
import type { WorkerEvents } from "./worker-events.ts";

const LEAST_MS = 1_000;
const MAX_CHARACTERS = 480;

export interface WaitingNews {
  tell(what: { message: string; pct: number | null }): void;
  /** The trainer runs: nothing is waited for any more. */
  over(): void;
}

/** A new message goes at once, a new percentage of the same at most once a second. */
export function createWaitingNews(events: Pick<WorkerEvents, "emit">): WaitingNews {
  let last = { message: "", at: 0 };
  return {
    tell({ message, pct }) {
      const now = Date.now();
      if (message === last.message && now - last.at < LEAST_MS) return;
      last = { message, at: now };
      events.emit("phase", { name: "preparing", pct, detail: message.slice(0, MAX_CHARACTERS) });
    },
    over() {
      if (last.at > 0) events.emit("phase", { name: "preparing" });
    },
  };
}
