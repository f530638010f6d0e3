/** A job's events as server-sent events: first what is in Postgres, then live, without gap or repetition. */
import { once } from "node:events";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { Response } from "express";
import type { JobRow } from "../db/schema.ts";
import { readEvents } from "../events/event-log.repository.ts";
import type { JobsGateway } from "./job-parts.ts";
import { findJob } from "./jobs.repository.ts";

/** Live events kept for a slow reader; beyond that they are read from Postgres again. */
const MAX_BUFFERED = 256;
const PAGE = 500;
/** Without news Postgres is asked, so that a lost publish is healed; membership is checked as often. */
const POLL_MS = 5_000;
const COMMENT_MS = 15_000;
/** A reader who takes nothing for so long is gone. */
const STUCK_MS = 30_000;

export interface StreamRequest {
  job: JobRow;
  /** Highest seq the reader has. */
  after: number;
  response: Response;
  /** Rejects when the reader may not listen any more. */
  stillAllowed(): Promise<unknown>;
}

/**
 * Writes until the job's terminal event is sent, the reader leaves, may not read any more, or the gateway drains.
 * A reader who has seen everything of a job that is over gets 204, which ends an EventSource.
 */
export async function streamJob(gateway: JobsGateway, request: StreamRequest): Promise<void> {
  const { job, response } = request;
  if (isTerminal(job.state) && request.after >= job.last_seq) {
    response.status(204).end();
    return;
  }
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.flushHeaders();
  const inbox = new Inbox(request.after);
  const stopListening = await gateway.live.listen(job.id, (event) => inbox.put(event));
  const ended = new AbortController();
  const end = () => {
    ended.abort();
    inbox.wake();
  };
  response.once("close", end);
  gateway.draining.addEventListener("abort", end, { once: true });
  const comments = setInterval(() => response.writable && response.write(": still here\n\n"), COMMENT_MS);
  try {
    if (!gateway.draining.aborted) await follow(gateway, request, inbox, ended.signal);
  } catch (error) {
    gateway.logger.info({ err: error, job_id: job.id }, "event stream ended early");
  } finally {
    clearInterval(comments);
    stopListening();
    gateway.draining.removeEventListener("abort", end);
    response.end();
  }
}

async function follow(gateway: JobsGateway, request: StreamRequest, inbox: Inbox, ended: AbortSignal): Promise<void> {
  const { job, response } = request;
  let checked = Date.now();
  // From the database first, whatever the live stream has brought meanwhile.
  let behind = true;
  while (!ended.aborted) {
    const events: JobEvent[] = behind
      ? await readEvents(gateway.db, job, { after: inbox.last, limit: PAGE })
      : inbox.take();
    for (const event of events) {
      if (ended.aborted) return;
      await write(response, event, ended);
      inbox.last = event.seq;
      if (isLast(event)) return;
    }
    behind = behind ? events.length === PAGE : inbox.hasGap();
    if (behind || inbox.hasNext()) continue;
    await inbox.waitForNews(POLL_MS);
    if (Date.now() - checked < POLL_MS) continue;
    checked = Date.now();
    await request.stillAllowed();
    const now = await findJob(gateway.db, job.id);
    if (!now || (isTerminal(now.state) && inbox.last >= now.last_seq)) return;
    behind = inbox.last < now.last_seq;
  }
}

function isLast(event: JobEvent): boolean {
  return event.type === "state" && isTerminal(event.data.state as JobRow["state"]);
}

/** Waits for a reader who is slow; rejects when it takes nothing at all. */
async function write(response: Response, event: JobEvent, ended: AbortSignal): Promise<void> {
  const taken = response.write(`id: ${event.seq}\nevent: job_event\ndata: ${JSON.stringify(event)}\n\n`);
  if (!taken) await once(response, "drain", { signal: AbortSignal.any([ended, AbortSignal.timeout(STUCK_MS)]) });
}

/** Live events of one stream, in the order of seq, bounded. */
class Inbox {
  /** Highest seq sent to the reader. */
  last: number;
  #events = new Map<number, JobEvent>();
  #overflowed = false;
  #news: () => void = () => undefined;

  constructor(after: number) {
    this.last = after;
  }

  put(event: JobEvent): void {
    if (event.seq <= this.last) return;
    if (this.#events.size >= MAX_BUFFERED) {
      this.#events.clear();
      this.#overflowed = true;
    }
    this.#events.set(event.seq, event);
    this.wake();
  }

  /** The events that follow without a gap on the last one sent. */
  take(): JobEvent[] {
    const events: JobEvent[] = [];
    for (const seq of this.#events.keys()) if (seq <= this.last) this.#events.delete(seq);
    for (let seq = this.last + 1; this.#events.has(seq); seq += 1) {
      events.push(this.#events.get(seq) as JobEvent);
      this.#events.delete(seq);
    }
    return events;
  }

  hasNext(): boolean {
    return this.#events.has(this.last + 1);
  }

  /** True when later events are here, and the next one is not: it has to be read from Postgres. */
  hasGap(): boolean {
    const gap = this.#overflowed || (!this.hasNext() && [...this.#events.keys()].some((seq) => seq > this.last + 1));
    this.#overflowed = false;
    return gap;
  }

  wake(): void {
    this.#news();
  }

  async waitForNews(limitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#news = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#news = () => undefined;
  }
}
