/** Events from the notifier, over Socket.IO. */
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type {
  ClientToServer,
  Head,
  ServerToClient,
  SubscribeAnswer,
  SubscriptionEnded,
} from "@vision-platform/contracts/live";
import { io, type Socket } from "socket.io-client";
import type { Tokens } from "../session/tokens.ts";
import { type EventSource, SourceRefused } from "./event-source.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const ACKNOWLEDGE_TIMEOUT_MS = 10_000;

/** `notifier` is its address. Reconnecting is left to the reader, which knows the cursor. */
export function socketSource(notifier: string, tokens: Tokens): EventSource {
  let isRefused = false;
  return {
    name: "notifier",
    async run({ jobId, after, onEvent, onOpen, signal }) {
      const token = await tokens.get(isRefused);
      const socket: Socket<ServerToClient, ClientToServer> = io(notifier, {
        transports: ["websocket"],
        reconnection: false,
        forceNew: true,
        timeout: CONNECT_TIMEOUT_MS,
        auth: { token },
      });
      try {
        return await new Promise<never>((_, reject) => {
          const stop = () => reject(new Error("stopped"));
          // The watcher may have left while the token was fetched.
          if (signal.aborted) stop();
          signal.addEventListener("abort", stop, { once: true });
          let last = after;
          socket.on("connect", async () => {
            try {
              const answer = await socket
                .timeout(ACKNOWLEDGE_TIMEOUT_MS)
                .emitWithAck("subscribe", { job_id: jobId, after });
              if (!answer.ok) return reject(refusalOf(answer));
              isRefused = false;
              onOpen();
            } catch (error) {
              reject(error);
            }
          });
          socket.on("job_event", (event: JobEvent) => {
            if (event.job_id !== jobId) return;
            last = Math.max(last, event.seq);
            onEvent(event);
          });
          watchHead(socket, jobId, () => last, reject);
          socket.on("subscription_ended", (ended) => reject(endOf(ended)));
          socket.on("disconnect", (reason) => reject(new Error(reason)));
          socket.on("connect_error", (error) => {
            const code = (error as Error & { data?: { code?: string } }).data?.code;
            // An access token may have run out on the way: the next run brings a new one, once.
            if (code === "unauthorized" && isRefused) return reject(new SourceRefused(code, error.message));
            isRefused = code === "unauthorized";
            reject(error);
          });
        });
      } finally {
        socket.disconnect();
      }
    },
  };
}

/** The notifier repairs what it lost within a beacon; a client still behind at the second one comes again. */
function watchHead(
  socket: Socket<ServerToClient, ClientToServer>,
  jobId: number,
  last: () => number,
  reject: (error: Error) => void,
): void {
  let behindAt: number | undefined;
  socket.on("head", (head: Head) => {
    if (head.job_id !== jobId) return;
    const isBehind = head.last_seq > last();
    if (isBehind && behindAt === last()) return reject(new Error("events are missing"));
    behindAt = isBehind ? last() : undefined;
  });
}

function refusalOf(answer: Extract<SubscribeAnswer, { ok: false }>): Error {
  const isPassing = answer.code === "unavailable" || answer.code === "limit";
  return isPassing ? new Error(answer.error) : new SourceRefused(answer.code, answer.error);
}

function endOf({ reason }: SubscriptionEnded): Error {
  return reason === "forbidden"
    ? new SourceRefused(reason, "you are no longer a member of the job's project")
    : new Error(reason);
}
