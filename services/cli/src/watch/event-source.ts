/** A way on which events of a job come: Socket.IO from the notifier, or server-sent events from the gateway. */
import type { JobEvent } from "@vision-platform/contracts/job-events";

export interface SourceRun {
  jobId: number;
  /** Events after this one are wanted. */
  after: number;
  onEvent(event: JobEvent): void;
  /** The source is connected and will deliver. */
  onOpen(): void;
  signal: AbortSignal;
}

export interface EventSource {
  name: string;
  /** Delivers until the connection ends, then rejects: SourceRefused when there is no use in coming back. */
  run(run: SourceRun): Promise<never>;
}

/** The server will not serve this reader: not found, forbidden, signed out. */
export class SourceRefused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
