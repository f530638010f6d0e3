/** How a command ended, for scripts; `./vp --help` tells the same. */
import type { JobState } from "@vision-platform/contracts/job-state";

export const EXIT = {
  ok: 0,
  /** The job or the dataset failed, or the command did. */
  failed: 1,
  /** Wrong arguments, or a request that the server found wrong. */
  usage: 2,
  /** The job was cancelled. */
  cancelled: 3,
  /** Not signed in, or not allowed. */
  denied: 4,
  /** No answer from the server. */
  unreachable: 5,
  /** Ctrl-C; a watched job goes on. */
  interrupted: 130,
} as const;

export const EXIT_HELP = `Exit codes: 0 succeeded · 1 failed · 2 wrong arguments or request · 3 the job was cancelled ·
4 not signed in or not allowed · 5 no answer from the server · 130 interrupted (a watched job goes on)`;

/** For a job that is over; one that is not counts as fine. */
export function exitCodeOf(state: JobState): number {
  if (state === "FAILED") return EXIT.failed;
  return state === "CANCELLED" ? EXIT.cancelled : EXIT.ok;
}
