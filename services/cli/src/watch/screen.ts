/** What a watcher is shown; chosen once: bars on a terminal, lines without one, events for programs. */
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { Output } from "../output/output.ts";
import type { JobView } from "./job-view.ts";

export interface Screen {
  /** After each event; `before` is the view without it. */
  show(view: JobView, before: JobView, event: JobEvent): void;
  /** Beside the events: the connection, a hint. */
  say(text: string): void;
  /** Ends drawing; what follows is printed below. */
  end(): void;
}

export async function createScreen(output: Output, view: JobView): Promise<Screen> {
  if (output.json)
    return { show: (_view, _before, event) => output.record(event), say: () => undefined, end: () => undefined };
  if (output.isLive) return (await import("./bar-screen.ts")).barScreen(output, view);
  return (await import("./line-screen.ts")).lineScreen(output);
}
