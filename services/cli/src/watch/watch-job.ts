/** Watching a job from a cursor to its end, or until the watcher leaves. */
import { getJob, type Job } from "@vision-platform/contracts/api/jobs";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { Output } from "../output/output.ts";
import type { Session } from "../session/session.ts";
import type { EventSource } from "./event-source.ts";
import { follow } from "./follow.ts";
import { gatewaySource } from "./gateway-source.ts";
import { beginningOf, isOver, type JobView, viewOf, withEvent } from "./job-view.ts";
import { createScreen } from "./screen.ts";

/** The ways to this server's events, best first. */
export async function sourcesOf(session: Session): Promise<EventSource[]> {
  const gateway = gatewaySource(session);
  if (session.notifier === undefined) return [gateway];
  const { socketSource } = await import("./socket-source.ts");
  return [socketSource(session.notifier, session.tokens), gateway];
}

/** Ctrl-C ends the watching and nothing else. */
export function interruptible(): { signal: AbortSignal; release: () => void } {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);
  return {
    signal: stop.signal,
    release() {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}

/**
 * Shows the job until it is over. `after`: from which event on (default: from now). Resolves with the job as it is then,
 * or undefined when the watcher left. Rejects with AppError or SourceRefused.
 */
export async function watchJob(
  session: Session,
  output: Output,
  jobId: number,
  after?: number,
): Promise<Job | undefined> {
  const params = { job_id: jobId };
  const job = await session.call(getJob, { params });
  const isReplay = after !== undefined && after < job.last_seq;
  if (isTerminal(job.state) && !isReplay) return job;
  // What is replayed tells the figures from the beginning on.
  let view: JobView = isReplay ? beginningOf(job) : viewOf(job);
  const screen = await createScreen(output, view);
  const { signal, release } = interruptible();
  try {
    await follow({
      jobId,
      after: after ?? job.last_seq,
      sources: await sourcesOf(session),
      signal,
      onLink: (link) => screen.say(link === "reconnecting" ? "reconnecting…" : "connected again"),
      onEvent(event) {
        const before = view;
        view = withEvent(view, event);
        screen.show(view, before, event);
        return isOver(view) && event.seq >= job.last_seq;
      },
    });
  } finally {
    screen.end();
    release();
  }
  return signal.aborted ? undefined : session.call(getJob, { params });
}
