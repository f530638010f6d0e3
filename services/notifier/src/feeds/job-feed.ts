/**
 * The one ordered stream of a job inside this notifier. Every source of events (the live stream, a replay for a reader
 * that catches up, a repair) is offered here, and leaves as head + 1, head + 2, … once, whatever was lost, repeated or
 * reordered on the way. Readers in step with the head share one broadcast; a gap is repaired once, not once per reader.
 */
import type { JobEvent } from "@vision-platform/contracts/job-events";

export interface FeedSource {
  /** A page of committed events with seq > after, in order; empty at the head. Rejects when the gateway is away. */
  replay(jobId: number, after: number): Promise<JobEvent[]>;
  pause(ms: number): Promise<void>;
}

/** Pauses before each attempt of a repair; after the last one the next beacon begins again. */
const REPAIR_PAUSES_MS = [0, 100, 400, 1_000];

export class JobFeed {
  readonly jobId: number;
  /** Unknown until the gateway or an event tells. */
  projectId: number | undefined;
  /** Number of the newest event that was published; undefined until the gateway said how far the job is. */
  head: number | undefined;
  /** The smallest number that came while the head was unknown. */
  firstSeen: number | undefined;
  #target = 0;
  #isClosed = false;
  #repairing: Promise<void> | undefined;
  readonly #source: FeedSource;
  readonly #publish: (event: JobEvent) => void;

  constructor(jobId: number, source: FeedSource, publish: (event: JobEvent) => void) {
    this.jobId = jobId;
    this.#source = source;
    this.#publish = publish;
  }

  /** From any source, in any order: publishes what comes next, drops what is known, repairs a gap. */
  offer(event: JobEvent): void {
    if (this.#isClosed) return;
    if (this.head === undefined) {
      this.firstSeen = Math.min(this.firstSeen ?? event.seq, event.seq);
      this.#target = Math.max(this.#target, event.seq);
    } else if (event.seq === this.head + 1) {
      this.head = event.seq;
      this.#publish(event);
    } else if (event.seq > this.head) {
      void this.raise(event.seq);
    }
  }

  /** Nobody watches any more: a repair under way must not speak beside the feed that comes after this one. */
  close(): void {
    this.#isClosed = true;
  }

  /** Sets the head once, below whatever was seen meanwhile: that is published too, by a repair. */
  seed(head: number): void {
    this.head ??= Math.min(head, (this.firstSeen ?? Number.POSITIVE_INFINITY) - 1);
    void this.raise(head);
  }

  /** The job is at least as far as `seq`: resolves when this feed is too, or when the repair gave up for now. */
  raise(seq: number): Promise<void> {
    this.#target = Math.max(this.#target, seq);
    if (this.head === undefined || this.head >= this.#target) return Promise.resolve();
    this.#repairing ??= this.#repair().finally(() => (this.#repairing = undefined));
    return this.#repairing;
  }

  /** A page for a reader at `after`; what it holds beyond the head is published to the others too. */
  async replay(after: number): Promise<JobEvent[]> {
    const events = await this.#source.replay(this.jobId, after);
    for (const event of events) this.offer(event);
    return events;
  }

  async #repair(): Promise<void> {
    for (const pause of REPAIR_PAUSES_MS) {
      if (pause > 0) await this.#source.pause(pause);
      try {
        while (!this.#isClosed && this.head !== undefined && this.head < this.#target) {
          // Nothing committed there: whoever announced that number was wrong.
          if ((await this.replay(this.head)).length === 0) this.#target = this.head;
        }
        return;
      } catch {
        // The gateway is away; the next pause, or the next beacon, tries again.
      }
    }
  }
}
