/** How a container ended, as far as the engine knows. */
import { setTimeout as sleep } from "node:timers/promises";
import type Docker from "dockerode";
import type { Containers, OwnContainer } from "./containers.ts";
import { question } from "./engine.ts";
import type { ExitAnswer } from "./protocol.ts";
import { engineStatus, isEngineAway } from "./refusals.ts";

/** 128 and the number of SIGKILL. */
const KILLED = 137;
const REMOVAL_MS = 300;
const LOOK_MS = 1_000;
/** The engine's shutdown and its start end containers with SIGTERM or SIGKILL. */
const ENDED_BY_SIGNAL = new Set([137, 143, 255]);

export interface Exits {
  /** Answers when the container has ended, or with `ended: false` when `signal` says so. */
  wait(id: string, signal: AbortSignal): Promise<ExitAnswer>;
}

export function createExits(engine: Docker, containers: Containers): Exits {
  /** Containers that ran when the engine went away from under them. */
  const shaken = new Set<string>();

  /** The kernel's kill may have hit a data loader only, and the trainer said its own code: the events tell. */
  async function sawOutOfMemory({ info }: OwnContainer): Promise<boolean> {
    if (info.State.OOMKilled) return true;
    const since = Math.floor(Date.parse(info.State.StartedAt) / 1000);
    // Not a moment later than now: the engine would wait for it.
    const until = Date.now() / 1000;
    const filters = { container: [info.Id], event: ["oom"] };
    const stream = await engine.getEvents({ since, until, filters, abortSignal: question().abortSignal });
    for await (const _ of stream) return true;
    return false;
  }

  function taken({ info, labels }: OwnContainer): Pick<Extract<ExitAnswer, { ended: true }>, "taken"> {
    const ranS = (Date.parse(info.State.FinishedAt) - Date.parse(info.State.StartedAt)) / 1000;
    if (!ENDED_BY_SIGNAL.has(info.State.ExitCode)) return {};
    if (shaken.has(info.Id)) {
      return { taken: { by: "host_lost", message: "the Docker engine went away and ended the container" } };
    }
    if (ranS < labels.max_runtime_s) return {};
    return { taken: { by: "deadline", message: `the container ran longer than ${labels.max_runtime_s} s` } };
  }

  async function answer(id: string): Promise<ExitAnswer> {
    const found = await containers.own(id);
    if (found.info.State.Running || found.info.State.Status === "created") return { ended: false };
    const out_of_memory = await sawOutOfMemory(found);
    if (found.info.State.ExitCode === KILLED && !out_of_memory && !containers.wasKilled(id)) {
      // `docker rm --force` kills first: in a moment the container is gone, and that is what has happened.
      await sleep(REMOVAL_MS);
      await containers.own(id);
    }
    const exit = { ended: true as const, code: found.info.State.ExitCode, out_of_memory, ...taken(found) };
    shaken.delete(id);
    return exit;
  }

  /** Resolves when the engine says that it has ended, or after a while. Rejects as dockerode does. */
  async function untilNews(id: string, signal: AbortSignal): Promise<void> {
    const look = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
    try {
      await engine.getContainer(id).wait({ abortSignal: look });
    } catch (error) {
      if (!look.aborted && engineStatus(error) !== 404) throw error;
    }
  }

  return {
    async wait(id, signal) {
      let ran = false;
      for (;;) {
        try {
          const now = await answer(id);
          if (now.ended || signal.aborted) return now;
          ran = true;
          // Looked at again and again: dockerode does not hear of an engine that dies while it is answering.
          await untilNews(id, signal);
        } catch (error) {
          if (ran && isEngineAway(error)) shaken.add(id);
          throw error;
        }
      }
    },
  };
}
