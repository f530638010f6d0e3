/** The launches that are under way, so that each can be called off. */
import type { LaunchRequest } from "./protocol.ts";
import { AgentRefusal } from "./refusals.ts";

/** The running container, and the marker that it carries. */
export interface Launched {
  id: string;
  marker: string;
  /** The hash of the sources that its image says it was built from; not told of a container that was there before. */
  source?: string | null;
}

export interface Launches {
  /** Runs `work` with a signal that `callOff` aborts. Throws AgentRefusal `conflict` while one of this marker runs. */
  run(request: LaunchRequest, signal: AbortSignal, work: (signal: AbortSignal) => Promise<Launched>): Promise<Launched>;
  /** Resolves when nothing of that launch is under way any more; at once when there is none. */
  callOff(marker: string): Promise<void>;
}

export function createLaunches(): Launches {
  const open = new Map<string, { stop: AbortController; done: Promise<unknown> }>();
  return {
    async run(request, signal, work) {
      const { marker } = request;
      if (open.has(marker)) throw new AgentRefusal("conflict", `a launch with the marker ${marker} is under way`);
      const stop = new AbortController();
      const done = work(AbortSignal.any([signal, stop.signal]));
      open.set(marker, { stop, done: done.catch(() => undefined) });
      try {
        return await done;
      } finally {
        open.delete(marker);
      }
    },
    async callOff(marker) {
      const launch = open.get(marker);
      launch?.stop.abort();
      await launch?.done;
    },
  };
}
