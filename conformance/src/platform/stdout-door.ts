/** EVENTS_MODE=stdout: the lines with the prefix `@event ` that a trainer writes, read from the file as it grows. */
import { closeSync, openSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventDoor } from "./door.ts";
import { createInbox } from "./inbox.ts";

const PREFIX = "@event ";
const POLL_MS = 20;

/** `file` must exist before the first look finds something; until then nothing was written. */
export function openStdoutDoor(file: string): EventDoor {
  const inbox = createInbox();
  const chunk = Buffer.alloc(1 << 16);
  let [open, position, rest] = [true, 0, Buffer.alloc(0)];

  function look(): void {
    let handle: number;
    try {
      handle = openSync(file, "r");
    } catch {
      return;
    }
    try {
      for (let size = 1; size > 0; position += size) {
        size = readSync(handle, chunk, 0, chunk.length, position);
        rest = Buffer.concat([rest, chunk.subarray(0, size)]);
        for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
          line(rest.subarray(0, end).toString("utf8"));
          rest = rest.subarray(end + 1);
        }
      }
    } finally {
      closeSync(handle);
    }
  }

  function line(text: string): void {
    if (text.startsWith(PREFIX)) inbox.accept(text.slice(PREFIX.length));
    else if (text.includes("@event"))
      inbox.complaints.push(`a line hides an event behind other text: ${text.slice(0, 120)}`);
  }

  const looking = (async () => {
    while (open) {
      look();
      await sleep(POLL_MS);
    }
  })();

  return {
    inbox,
    variables: { EVENTS_MODE: "stdout" },
    secrets: [],
    setDown: () => undefined,
    async close() {
      open = false;
      await looking;
      look();
      if (rest.length > 0 && rest.toString("utf8").startsWith(PREFIX)) {
        inbox.complaints.push("its last event is cut off: no newline follows it");
      }
    },
  };
}
