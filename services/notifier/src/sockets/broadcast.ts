/** From a feed to all sockets in step with it: each payload is encoded once, however many sockets it goes to. */
import type { JobEvent, StateEventData } from "@vision-platform/contracts/job-events";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { Head, TrainingComplete } from "@vision-platform/contracts/live";
import type { FeedOutput } from "../feeds/feeds.ts";
import { ProgressGatherer } from "../feeds/training-progress.ts";
import type { Derived } from "./connection.ts";
import { heldRoom, jobRoom, type LiveServer, type LiveSocket, projectRoom } from "./server.ts";

/** What the terminal state of a job tells a page; undefined for any other event. */
function completeOf(event: JobEvent): TrainingComplete | undefined {
  if (event.type !== "state") return undefined;
  const { state, metrics } = event.data as StateEventData;
  return isTerminal(state) ? { job_id: event.job_id, status: state, metrics: metrics ?? {} } : undefined;
}

export class Broadcast implements Derived {
  readonly #io: LiveServer;
  readonly #progress = new Map<number, ProgressGatherer>();
  readonly #projects = new Map<number, number>();

  constructor(io: LiveServer) {
    this.#io = io;
  }

  /** The output of one job's feed. */
  outputOf(jobId: number): FeedOutput {
    const progress = new ProgressGatherer(jobId, (figures) => this.#to(jobId).emit("training_progress", figures));
    this.#progress.set(jobId, progress);
    return {
      seed: (head) => {
        this.#projects.set(jobId, head.project_id);
        progress.seed(head.progress, head.primary_metric);
      },
      publish: (event) => {
        this.#projects.set(jobId, event.project_id);
        this.#to(jobId).emit("job_event", event);
        progress.apply(event);
        const complete = completeOf(event);
        if (complete === undefined) return;
        progress.flush();
        this.#to(jobId).emit("training_complete", complete);
      },
      close: () => {
        progress.stop();
        this.#progress.delete(jobId);
        this.#projects.delete(jobId);
      },
    };
  }

  head(head: Head): void {
    this.#to(head.job_id).emit("head", head);
  }

  onReplayed(socket: LiveSocket, event: JobEvent): void {
    const complete = completeOf(event);
    if (complete !== undefined) socket.emit("training_complete", complete);
  }

  onCaughtUp(socket: LiveSocket, jobId: number): void {
    const figures = this.#progress.get(jobId)?.current();
    if (figures !== undefined) socket.emit("training_progress", figures);
  }

  #to(jobId: number) {
    const projectId = this.#projects.get(jobId);
    const rooms = projectId === undefined ? [jobRoom(jobId)] : [jobRoom(jobId), projectRoom(projectId)];
    return this.#io.local.to(rooms).except(heldRoom(jobId));
  }
}
