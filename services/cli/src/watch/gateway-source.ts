/** Events from the gateway, as server-sent events: where no notifier is known or none answers. */
import { AppError } from "@vision-platform/common/app-error";
import { streamJobEvents } from "@vision-platform/contracts/api/jobs";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { Session } from "../session/session.ts";
import { type EventSource, SourceRefused } from "./event-source.ts";
import { readServerSentEvents } from "./server-sent-events.ts";

/** The gateway says something every 15 s; a connection silent for so long is dead, whatever TCP believes. */
const SILENCE_MS = 45_000;

export function gatewaySource(session: Session): EventSource {
  return {
    name: "gateway",
    async run({ jobId, after, onEvent, onOpen, signal }) {
      const silence = new AbortController();
      const stop = AbortSignal.any([signal, silence.signal]);
      const wait = () => setTimeout(() => silence.abort(), SILENCE_MS);
      let timer = wait();
      try {
        const response = await session.open(streamJobEvents, {
          params: { job_id: jobId },
          query: { after },
          signal: stop,
        });
        onOpen();
        for await (const data of readServerSentEvents(response.body ?? new ReadableStream())) {
          clearTimeout(timer);
          timer = wait();
          if (data !== null) onEvent(JSON.parse(data) as JobEvent);
        }
      } catch (error) {
        if (error instanceof AppError && error.status < 500) throw new SourceRefused(error.code, error.message);
        throw error;
      } finally {
        clearTimeout(timer);
      }
      throw new Error("the stream ended");
    },
  };
}
