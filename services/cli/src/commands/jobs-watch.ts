import { watchToEnd } from "../watch/watch-to-end.ts";
import type { Context } from "./action.ts";
import { parseJobId } from "./arguments.ts";

/** The exit code tells how the job ended; 130 when the watcher left before. */
export async function watch(context: Context, [text = ""]: string[], options: { after?: number }): Promise<number> {
  const jobId = parseJobId(text);
  const { output } = context;
  return watchToEnd(await context.session(), output, jobId, options.after ?? (output.json ? 0 : undefined));
}
