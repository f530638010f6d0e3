/**
 * One connected client: what it subscribed to, and the jobs it is behind on. A job it is not behind on reaches it by the
 * feed's broadcast; a job it is behind on is held back from the broadcast and replayed from its own cursor until the
 * cursor meets the feed's head, and both happen in one turn of the event loop. So there is no gap and no repeat.
 */
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { JobFeed } from "../feeds/job-feed.ts";

/** The way to one client. */
export interface Outlet {
  send(event: JobEvent): void;
  /** Leaves the broadcasts of this job out for this client, or lets them in again. */
  hold(jobId: number): void;
  release(jobId: number): void;
  /** Resolves when all that was sent has left this process; false when the client is gone. */
  drained(): Promise<boolean>;
}

interface Lag {
  feed: JobFeed;
  /** The last event this client was sent. */
  cursor: number;
  running: boolean;
}

export class Reader {
  readonly userId: number;
  readonly outlet: Outlet;
  readonly jobs = new Set<number>();
  readonly projects = new Set<number>();
  /** Its connection does not take more at present: nothing is pushed until `resume`. */
  stalled = false;
  readonly #lags = new Map<number, Lag>();

  constructor(userId: number, outlet: Outlet) {
    this.userId = userId;
    this.outlet = outlet;
  }

  isBehind(jobId: number): boolean {
    return this.#lags.has(jobId);
  }

  /** From now on this client gets the job's events after `cursor`, then the live ones. */
  follow(feed: JobFeed, cursor: number): void {
    const lag = { feed, cursor, running: false };
    this.#lags.set(feed.jobId, lag);
    this.outlet.hold(feed.jobId);
    void this.#catchUp(lag);
  }

  /** Forgets how far it was on a job it no longer follows. */
  forget(jobId: number): void {
    if (this.#lags.delete(jobId)) this.outlet.release(jobId);
  }

  /** Stops pushing: each of these jobs is remembered at its present head and replayed after `resume`. */
  stall(feeds: Iterable<JobFeed>): void {
    this.stalled = true;
    for (const feed of feeds) {
      if (feed.head !== undefined && !this.isBehind(feed.jobId)) this.follow(feed, feed.head);
    }
  }

  resume(): void {
    this.stalled = false;
    this.retry();
  }

  /** Goes on with every job it is behind on, for example after the gateway was away. */
  retry(): void {
    for (const lag of this.#lags.values()) void this.#catchUp(lag);
  }

  async #catchUp(lag: Lag): Promise<void> {
    if (lag.running) return;
    lag.running = true;
    try {
      while (this.#isCurrent(lag) && !this.stalled) {
        if (lag.cursor === lag.feed.head) {
          this.forget(lag.feed.jobId);
        } else if (lag.cursor > (lag.feed.head ?? 0)) {
          await lag.feed.raise(lag.cursor);
          // The repair gave up for now: the next beacon calls retry().
          if (lag.cursor > (lag.feed.head ?? 0)) return;
        } else if (!(await this.#replayPage(lag))) {
          return;
        }
      }
    } catch {
      // The gateway is away: the next beacon calls retry().
    } finally {
      lag.running = false;
    }
  }

  /** False when there is no use in going on: the client is gone, or the gateway has nothing there. */
  async #replayPage(lag: Lag): Promise<boolean> {
    const before = lag.cursor;
    for (const event of await lag.feed.replay(lag.cursor)) {
      if (!this.#isCurrent(lag)) return false;
      if (event.seq !== lag.cursor + 1) continue;
      lag.cursor = event.seq;
      this.outlet.send(event);
    }
    return lag.cursor > before && (await this.outlet.drained());
  }

  #isCurrent(lag: Lag): boolean {
    return this.#lags.get(lag.feed.jobId) === lag;
  }
}
