/** People who watch jobs through the notifiers, one at each replica, all the time. */

import { setTimeout as sleep } from "node:timers/promises";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { allEvents, type LiveSocket, openSocket, type Person, watch } from "@vision-platform/e2e/person";
import { deepEqual, expect } from "@vision-platform/e2e/walkthrough/expecting";

/** After the last event a healthy notifier needs far less; a beacon heals what was lost within five seconds. */
const CATCH_UP_MS = 20_000;

export class Viewers {
  readonly #sockets: LiveSocket[];
  readonly #seen = new Map<number, { applied: JobEvent[]; raw: JobEvent[] }[]>();

  constructor(notifierUrls: string[], person: Person) {
    this.#sockets = notifierUrls.map((url) => openSocket(url, person.token));
  }

  watch(jobId: number): void {
    this.#seen.set(
      jobId,
      this.#sockets.map((socket) => watch(socket, jobId)),
    );
  }

  /**
   * Each viewer has seen exactly what is stored: every event once, in order. Answers with how many events a viewer
   * applied, and how many a notifier sent more than once (which a client drops).
   */
  async sawEverything(person: Person): Promise<{ events: number; repeats: number }> {
    let events = 0;
    let repeats = 0;
    for (const [jobId, views] of this.#seen) {
      const stored = await allEvents(person, jobId);
      const limit = Date.now() + CATCH_UP_MS;
      while (views.some(({ applied }) => applied.length < stored.length) && Date.now() < limit) await sleep(200);
      for (const [index, { applied, raw }] of views.entries()) {
        expect(
          deepEqual(applied, stored),
          `viewer ${index} of job ${jobId}: ${applied.length} of ${stored.length} events`,
        );
        repeats += raw.length - new Set(raw.map(({ seq }) => seq)).size;
      }
      events += stored.length;
    }
    return { events, repeats };
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}
