/** Brings everything a trainer writes from its pod into the attempt's log file, across cuts, from the first byte. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@vision-platform/common/logger";
import { type BoundedFile, openBoundedFile } from "./bounded-file.ts";
import type { Cluster } from "./cluster.ts";
import { CONTAINER } from "./names.ts";
import { createStampedLines, type LogPosition, sinceTime } from "./stamped-lines.ts";

const LONGEST_PAUSE_MS = 5_000;
/** A connection without a word for so long may be dead: a new one goes on where it stood. */
const SILENCE_MS = 240_000;
/** After the trainer's end its log is read once more to the end; tried so often. */
const LAST_TRIES = 6;
const BACKGROUND_PAUSE_MS = 250;
/** The node ends a followed log about a second after its container. */
const LEAVING_LIMIT_MS = 3_000;

export interface LogCapture {
  /**
   * The trainer has ended: reads the rest and closes the file. From a pod that is leaving nothing can be asked again:
   * then what is still on its way is waited for. Never rejects.
   */
  finish(isLeaving: boolean): Promise<void>;
  /** Nobody wants the log any more. */
  close(): void;
}

export interface LogCaptureOptions {
  cluster: Cluster;
  pod: string;
  file: string;
  limitBytes: number;
  logger: Logger;
}

/** The answer of the log endpoint; the library's own reader crashes the process when the connection breaks. */
async function request(
  { cluster, pod }: LogCaptureOptions,
  position: LogPosition,
  follow: boolean,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const path = `/api/v1/namespaces/${cluster.namespace}/pods/${pod}/log`;
  const since = sinceTime(position);
  const query = {
    container: CONTAINER,
    timestamps: "true",
    follow: String(follow),
    ...(since && { sinceTime: since }),
  };
  const url = new URL(`${cluster.server}${path}?${new URLSearchParams(query)}`);
  const options: https.RequestOptions = {};
  await cluster.config.applyToHTTPSOptions(options);
  const sent = (url.protocol === "https:" ? https : http).request(url, { ...options, signal, timeout: SILENCE_MS });
  // Whoever reads the answer hears of a cut there.
  sent.on("error", () => undefined);
  sent.on("timeout", () => sent.destroy(new Error("the log was silent for long")));
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return response;
}

class LogRefused extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "LogRefused";
    this.status = status;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof LogRefused && error.status === 404;
}

async function readOnce(
  options: LogCaptureOptions,
  position: LogPosition,
  follow: boolean,
  file: BoundedFile,
  signal: AbortSignal,
): Promise<void> {
  const response = await request(options, position, follow, signal);
  if (response.statusCode !== 200) {
    const text = (await response.toArray()).join("").slice(0, 500);
    throw new LogRefused(response.statusCode ?? 0, text);
  }
  const lines = createStampedLines(position);
  for await (const piece of response) for (const bytes of lines.feed(piece as Buffer)) await file.write(bytes);
  if (lines.foreign() !== "") throw new Error(lines.foreign());
}

/** Starts at the log's beginning: `file` is made anew. It ends by itself when the file's folder is taken away. */
export function startLogCapture(options: LogCaptureOptions): LogCapture {
  const { pod, logger } = options;
  const position: LogPosition = { stamp: "", lines: 0, bytes: 0 };
  const closed = new AbortController();
  const following = new AbortController();
  const followed = Promise.withResolvers<void>();
  let ended = false;
  /** The last connection was ended by the node, which does so when the container has ended and all is told. */
  let wasWhole = false;

  async function followLog(file: BoundedFile): Promise<void> {
    for (let pause = BACKGROUND_PAUSE_MS; !ended && !closed.signal.aborted; ) {
      const before = { ...position };
      try {
        await readOnce(options, position, true, file, AbortSignal.any([following.signal, closed.signal]));
        wasWhole = true;
        followed.resolve();
      } catch (error) {
        if (ended || closed.signal.aborted) return;
        wasWhole &&= isGone(error);
        logger.debug({ err: error, pod }, "the log's connection was cut; it is taken up again");
      }
      const moved = before.stamp !== position.stamp || before.lines !== position.lines;
      pause = moved ? BACKGROUND_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, pause * 2);
      await sleep(pause, undefined, { signal: following.signal }).catch(() => undefined);
      if (!existsSync(options.file)) closed.abort();
    }
  }

  async function readRest(file: BoundedFile): Promise<void> {
    for (let attempt = 1; !closed.signal.aborted; attempt += 1) {
      try {
        return await readOnce(options, position, false, file, closed.signal);
      } catch (error) {
        if (isGone(error) && wasWhole) return;
        if (!isGone(error) && attempt < LAST_TRIES) await sleep(BACKGROUND_PAUSE_MS * 2 ** attempt);
        else {
          logger.warn({ err: error, pod }, "the end of the log could not be read");
          await file.note("the end of the log went with its pod");
          return;
        }
      }
    }
  }

  async function run(): Promise<void> {
    const file = await openBoundedFile(options.file, options.limitBytes);
    try {
      await followLog(file);
      await readRest(file);
    } finally {
      await file.close();
    }
  }

  const running = run().catch((error: unknown) => logger.warn({ err: error, pod }, "the log is no longer captured"));
  return {
    async finish(isLeaving) {
      ended = true;
      if (isLeaving) await Promise.race([followed.promise, running, sleep(LEAVING_LIMIT_MS)]);
      following.abort();
      await running;
    },
    close: () => closed.abort(),
  };
}
