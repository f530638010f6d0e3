import { setTimeout as sleep } from "node:timers/promises";
import type { Part } from "./part.ts";

/** Parts that were not ready in time, each with what it was waiting for. */
export class NotReady extends Error {}

/**
 * Waits until every part is ready.
 * @param stillRuns tells of a part that ended instead of becoming ready; then the wait ends at once.
 * @throws NotReady after `limitMs`, naming each part that is not ready and why.
 */
export async function waitUntilReady(
  parts: Part[],
  limitMs: number,
  stillRuns: (part: Part) => boolean = () => true,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  const failures = await Promise.all(parts.map((part) => waitForOne(part, deadline, stillRuns)));
  const told = failures.filter((failure) => failure !== null);
  if (told.length > 0) throw new NotReady(told.join("\n"));
}

async function waitForOne(part: Part, deadline: number, stillRuns: (part: Part) => boolean): Promise<string | null> {
  for (;;) {
    const reason = await part.ready();
    if (reason === null) return null;
    if (!stillRuns(part)) return `${part.name} ended before it was ready`;
    if (Date.now() > deadline) return `${part.name} is not ready: ${reason}`;
    await sleep(25);
  }
}
