/** The feeds of all jobs that somebody here watches, by job or by project; events of other jobs are passed over. */
import type { JobHead } from "@vision-platform/contracts/api/internal";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { Reader } from "../readers/reader.ts";
import { type FeedSource, JobFeed } from "./job-feed.ts";

/** What a feed's news goes to; made once per feed. */
export interface FeedOutput {
  publish(event: JobEvent): void;
  seed(head: JobHead): void;
  close(): void;
}

interface WatchedFeed {
  feed: JobFeed;
  output: FeedOutput;
  readers: Set<Reader>;
  /** Subscriptions on their way: the feed gathers, but its head may still be unknown. */
  openings: number;
  overSince: number | undefined;
}

interface WatchedProject {
  readers: Set<Reader>;
  openings: number;
}

/** A job that is over may still be told of by a late event; after this it is forgotten. */
const KEEP_OVER_MS = 60_000;

export class Feeds {
  readonly #feeds = new Map<number, WatchedFeed>();
  readonly #projects = new Map<number, WatchedProject>();
  readonly #source: FeedSource;
  readonly #makeOutput: (jobId: number) => FeedOutput;

  constructor(source: FeedSource, makeOutput: (jobId: number) => FeedOutput) {
    this.#source = source;
    this.#makeOutput = makeOutput;
  }

  get size(): number {
    return this.#feeds.size;
  }

  /** From the live stream. A job of a watched project that was never heard of is new: it is followed from its start. */
  accept(event: JobEvent): void {
    const known = this.#feeds.get(event.job_id);
    if (known === undefined && !this.#projects.has(event.project_id)) return;
    const watched = known ?? this.#ensure(event.job_id);
    watched.feed.projectId ??= event.project_id;
    if (watched.feed.head === undefined && event.seq === 1) this.#seed(watched, 0);
    watched.feed.offer(event);
  }

  /** Begins to gather a job's events, before its head is asked for: none can slip through in between. */
  openJob(jobId: number): void {
    this.#ensure(jobId).openings += 1;
  }

  /** The gateway allowed it: `reader` follows the job from `after`, or from its head on. */
  joinJob(reader: Reader, head: JobHead, after: number | undefined): void {
    const watched = this.#ensure(head.job_id);
    watched.openings -= 1;
    this.#seedFrom(watched, head);
    const isInStep = watched.readers.has(reader) || reader.projects.has(head.project_id);
    watched.readers.add(reader);
    reader.jobs.add(head.job_id);
    if (after !== undefined || !isInStep) reader.follow(watched.feed, after ?? head.last_seq);
  }

  abandonJob(jobId: number): void {
    const watched = this.#feeds.get(jobId);
    if (watched === undefined) return;
    watched.openings -= 1;
    this.#sweepOne(watched, Date.now());
  }

  leaveJob(reader: Reader, jobId: number): void {
    if (!reader.jobs.delete(jobId)) return;
    const watched = this.#feeds.get(jobId);
    if (watched === undefined) return;
    watched.readers.delete(reader);
    if (watched.feed.projectId === undefined || !reader.projects.has(watched.feed.projectId)) reader.forget(jobId);
    this.#sweepOne(watched, Date.now());
  }

  openProject(projectId: number): void {
    const project = this.#projects.get(projectId) ?? { readers: new Set(), openings: 0 };
    this.#projects.set(projectId, project);
    project.openings += 1;
  }

  /** The gateway allowed it: `reader` gets whatever happens to the project's jobs from now on. */
  joinProject(reader: Reader, projectId: number, heads: JobHead[]): void {
    const project = this.#projects.get(projectId);
    if (project === undefined) return;
    const wasLive = this.#isLive(projectId);
    for (const head of heads) this.#seedFrom(this.#ensure(head.job_id), head);
    project.readers.add(reader);
    reader.projects.add(projectId);
    project.openings -= 1;
    // What came meanwhile and is not among the heads is over or was made since; for earlier readers the beacon decides.
    if (!wasLive) for (const watched of this.#feedsOf(projectId)) this.#settle(watched);
    if (reader.stalled) reader.stall([...this.#feedsOf(projectId)].map((watched) => watched.feed));
  }

  abandonProject(projectId: number): void {
    const project = this.#projects.get(projectId);
    if (project === undefined) return;
    project.openings -= 1;
    this.#dropProjectIfUnwatched(projectId, project);
  }

  leaveProject(reader: Reader, projectId: number): void {
    if (!reader.projects.delete(projectId)) return;
    for (const { feed } of this.#feedsOf(projectId)) {
      if (!reader.jobs.has(feed.jobId)) reader.forget(feed.jobId);
    }
    const project = this.#projects.get(projectId);
    project?.readers.delete(reader);
    if (project !== undefined) this.#dropProjectIfUnwatched(projectId, project);
  }

  /** Everything this reader watches, by job or by project. */
  feedsOf(reader: Reader): JobFeed[] {
    return [...this.#feeds.values()]
      .filter((watched) => this.#isWatchedBy(watched, reader))
      .map((watched) => watched.feed);
  }

  /** Feeds whose head is still unknown; taken before a beacon's question, given back with its answer. */
  unsettled(): Set<number> {
    return new Set(
      [...this.#feeds.values()]
        .filter((watched) => watched.feed.head === undefined)
        .map((watched) => watched.feed.jobId),
    );
  }

  /** A beacon's answer: repairs what is behind, finds jobs whose first events were lost, forgets what nobody watches. */
  applyHeads(heads: JobHead[], unsettled: Set<number>): void {
    for (const head of heads) {
      const known = this.#feeds.get(head.job_id);
      if (known === undefined && !this.#isLive(head.project_id)) continue;
      const watched = known ?? this.#ensure(head.job_id);
      if (watched.openings === 0) this.#seedFrom(watched, head);
      void watched.feed.raise(head.last_seq);
    }
    const now = Date.now();
    for (const watched of [...this.#feeds.values()]) {
      if (unsettled.has(watched.feed.jobId)) this.#settle(watched);
      this.#sweepOne(watched, now);
    }
  }

  #ensure(jobId: number): WatchedFeed {
    const known = this.#feeds.get(jobId);
    if (known !== undefined) return known;
    const output = this.#makeOutput(jobId);
    const watched: WatchedFeed = {
      feed: new JobFeed(jobId, this.#source, (event) => {
        if (event.type === "state" && isTerminal((event.data as { state: JobHead["state"] }).state))
          watched.overSince = Date.now();
        output.publish(event);
      }),
      output,
      readers: new Set(),
      openings: 0,
      overSince: undefined,
    };
    this.#feeds.set(jobId, watched);
    return watched;
  }

  /** The gateway said how far the job is. Its readers by project want it from its start if it is new. */
  #seedFrom(watched: WatchedFeed, head: JobHead): void {
    watched.feed.projectId = head.project_id;
    watched.output.seed(head);
    const isOver = isTerminal(head.state);
    if (isOver) watched.overSince ??= Date.now();
    // Every job of a live project that is not over has a feed already: one that has none is new.
    this.#seed(watched, !isOver && this.#isLive(head.project_id) ? 0 : head.last_seq);
    void watched.feed.raise(head.last_seq);
  }

  #isLive(projectId: number): boolean {
    return (this.#projects.get(projectId)?.readers.size ?? 0) > 0;
  }

  #seed(watched: WatchedFeed, seq: number): void {
    const { feed } = watched;
    const isNew = feed.head === undefined;
    feed.seed(seq);
    if (!isNew || feed.head === undefined || feed.projectId === undefined) return;
    for (const reader of this.#projects.get(feed.projectId)?.readers ?? []) {
      if (reader.stalled) reader.stall([feed]);
    }
  }

  /** Nobody knows how far the job was: it is followed from the first event that was seen. */
  #settle(watched: WatchedFeed): void {
    const { feed } = watched;
    if (feed.head === undefined && feed.firstSeen !== undefined && watched.openings === 0)
      this.#seed(watched, feed.firstSeen - 1);
  }

  *#feedsOf(projectId: number): Generator<WatchedFeed> {
    for (const watched of this.#feeds.values()) if (watched.feed.projectId === projectId) yield watched;
  }

  #isWatchedBy(watched: WatchedFeed, reader: Reader): boolean {
    const { projectId } = watched.feed;
    return watched.readers.has(reader) || (projectId !== undefined && reader.projects.has(projectId));
  }

  #sweepOne(watched: WatchedFeed, now: number): void {
    if (watched.readers.size > 0 || watched.openings > 0) return;
    const { jobId, projectId } = watched.feed;
    const project = projectId === undefined ? undefined : this.#projects.get(projectId);
    if (project !== undefined) {
      if (watched.overSince === undefined || now - watched.overSince < KEEP_OVER_MS) return;
      for (const reader of project.readers) if (reader.isBehind(jobId)) return;
    }
    watched.feed.close();
    watched.output.close();
    this.#feeds.delete(jobId);
  }

  #dropProjectIfUnwatched(projectId: number, project: WatchedProject): void {
    if (project.readers.size > 0 || project.openings > 0) return;
    this.#projects.delete(projectId);
    for (const watched of [...this.#feedsOf(projectId)]) this.#sweepOne(watched, Date.now());
  }
}
