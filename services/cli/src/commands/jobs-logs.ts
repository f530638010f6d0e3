import { getJob, type LogLine, listJobLogs } from "@vision-platform/contracts/api/jobs";
import type { JobEvent, StateEventData } from "@vision-platform/contracts/job-events";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { LogEvent } from "@vision-platform/contracts/trainer-events";
import type { z } from "zod";
import { EXIT, exitCodeOf } from "../exit-codes.ts";
import { plain } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { follow } from "../watch/follow.ts";
import { interruptible, sourcesOf } from "../watch/watch-job.ts";
import type { Context } from "./action.ts";
import { parseJobId } from "./arguments.ts";

type Line = z.infer<typeof LogLine>;

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
  options: { follow?: boolean; after: number },
): Promise<number | undefined> {
  const jobId = parseJobId(text);
  const open = await session();
  const params = { job_id: jobId };
  let { after } = options;
  for (;;) {
    const { items, head, files } = await open.call(listJobLogs, { params, query: { after, limit: 1000 } });
    for (const line of items) print(output, line);
    after = items.at(-1)?.seq ?? Math.max(after, head);
    if (items.length > 0) continue;
    if (options.follow !== true)
      for (const file of files) output.note(`whole log of attempt ${file.attempt}: ${file.url}`);
    break;
  }
  if (options.follow !== true) return undefined;
  const job = await open.call(getJob, { params });
  return isTerminal(job.state) && job.last_seq <= after
    ? exitCodeOf(job.state)
    : followLogs(open, output, jobId, after);
}

async function followLogs(
  session: Awaited<ReturnType<Context["session"]>>,
  output: Output,
  jobId: number,
  after: number,
): Promise<number> {
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
