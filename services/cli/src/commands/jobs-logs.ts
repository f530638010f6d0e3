import { getJob, type LogLine, listJobLogs } from "@vision-platform/contracts/api/jobs";
import type { JobEvent, StateEventData } from "@vision-platform/contracts/job-events";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { LogEvent } from "@vision-platform/contracts/trainer-events";
import type { z } from "zod";
import { EXIT, exitCodeOf } from "../exit-codes.ts";
import { CommandError } from "../output/failure.ts";
import { plain } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { follow } from "../watch/follow.ts";
import { interruptible, sourcesOf } from "../watch/watch-job.ts";
import type { Context } from "./action.ts";
import { parseJobId } from "./arguments.ts";

type Line = z.infer<typeof LogLine>;
type Session = Awaited<ReturnType<Context["session"]>>;

export interface LogsOptions {
  follow?: boolean;
  whole?: boolean;
  after: number;
}

/** `12:30:05 warning  text`; information is the rule and is not marked. */
export function logText({ ts, level, message }: Line): string {
  const mark = level === "info" ? "" : `${level}  `;
  return `${ts.slice(11, 19)}  ${mark}${plain(message.trimEnd())}`;
}

function lineOf(event: JobEvent): Line | undefined {
  if (event.type !== "log") return undefined;
  const { level, message } = event.data as z.infer<typeof LogEvent>["data"];
  return { seq: event.seq, ts: event.ts, attempt: event.attempt, level, message };
}

function print(output: Output, line: Line): void {
  output.record(line);
  output.line(logText(line));
}

/** Lines that are there; with --follow also those to come, until the job is over (its state decides the exit code). */
export async function logs(
  { output, session }: Context,
  [text = ""]: string[],
  options: LogsOptions,
): Promise<number | undefined> {
  const jobId = parseJobId(text);
  const open = await session();
  const params = { job_id: jobId };
  if (options.whole === true) return wholeLogs(open, output, jobId);
  // Asked first: of a job that is over now, every line is there already.
  const job = options.follow === true ? await open.call(getJob, { params }) : undefined;
  const { last, hasFiles } = await printLines(open, output, jobId, options.after);
  if (job === undefined) {
    if (hasFiles) output.note(`everything it wrote: ./vp jobs logs ${jobId} --whole`);
    return undefined;
  }
  return isTerminal(job.state) ? exitCodeOf(job.state) : followLogs(open, output, jobId, last);
}

/** Prints the lines after that event, page by page. `last`: number of the last one. */
async function printLines(session: Session, output: Output, jobId: number, after: number) {
  let last = after;
  for (;;) {
    const query = { after: last, limit: 1000 };
    const { items, files } = await session.call(listJobLogs, { params: { job_id: jobId }, query });
    for (const line of items) print(output, line);
    last = items.at(-1)?.seq ?? last;
    if (items.length === 0) return { last, hasFiles: files.length > 0 };
  }
}

/** The attempts' log files as they lie in the storage; with --json one object for each. */
async function wholeLogs(session: Session, output: Output, jobId: number): Promise<undefined> {
  const { files } = await session.call(listJobLogs, { params: { job_id: jobId }, query: { after: 0, limit: 1 } });
  if (files.length === 0)
    throw new CommandError(`job ${jobId} has no log file yet: it is written when an attempt ends`);
  for (const { attempt, url } of files) {
    const response = await fetch(url);
    if (!response.ok) throw new CommandError(`the storage answers ${response.status}`);
    const text = await response.text();
    output.record({ attempt, text });
    if (files.length > 1) output.note(`attempt ${attempt}`);
    output.line(plain(text.trimEnd()));
  }
  return undefined;
}

async function followLogs(session: Session, output: Output, jobId: number, after: number): Promise<number> {
  const { signal, release } = interruptible();
  let code: number = EXIT.interrupted;
  try {
    await follow({
      jobId,
      after,
      sources: await sourcesOf(session),
      signal,
      onLink: (link) => output.note(link === "reconnecting" ? "reconnecting…" : "connected again"),
      onEvent(event) {
        const line = lineOf(event);
        if (line !== undefined) print(output, line);
        if (event.type !== "state") return false;
        const { state } = event.data as StateEventData;
        if (isTerminal(state)) code = exitCodeOf(state);
        return isTerminal(state);
      },
    });
  } finally {
    release();
  }
  if (code === EXIT.interrupted) output.note(`job ${jobId} goes on; come back with: ./vp jobs logs -f ${jobId}`);
  return code;
}
