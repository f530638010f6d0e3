/** The three doors an event can leave by, from the outside. */
import type { Inbox } from "./inbox.ts";

export interface Ids {
  job_id: number;
  attempt: number;
  /** Where to listen, so that the trainer reaches it. */
  address: string;
}

export interface EventDoor {
  inbox: Inbox;
  /** What the trainer is told of it. */
  variables: Record<string, string>;
  /** Values that may appear nowhere else. */
  secrets: string[];
  /** True: nothing gets through until it is false again. */
  setDown(down: boolean): void;
  close(): Promise<void>;
}
