/**
 * Every 5 s one question for all live subscriptions of this notifier: who may still watch, and how far is each job?
 * It ends what is no longer allowed, repairs feeds that missed an event, and tells clients the heads.
 */
import type { Logger } from "@vision-platform/common/logger";
import type { JobHead } from "@vision-platform/contracts/api/internal";
import type { Head, SubscriptionEnded } from "@vision-platform/contracts/live";
import type { Feeds } from "./feeds/feeds.ts";
import type { GatewayPort, Wanted } from "./gateway.ts";
import type { Reader } from "./readers/reader.ts";

export const BEACON_MS = 5_000;
/** The contract's limit for one question. */
const MAX_QUESTION = 20_000;

export interface BeaconParts {
  readers(): Iterable<Reader>;
  end(reader: Reader, ended: SubscriptionEnded): void;
  announce(head: Head): void;
  feeds: Feeds;
  gateway: GatewayPort;
  logger: Logger;
}

/** Each (user, job) and (user, project) once, with the readers behind it. */
function subscriptionsOf(readers: Iterable<Reader>): Map<string, { wanted: Wanted; readers: Reader[] }> {
  const all = new Map<string, { wanted: Wanted; readers: Reader[] }>();
  const add = (reader: Reader, key: string, wanted: Wanted) => {
    const known = all.get(key);
    if (known === undefined) all.set(key, { wanted, readers: [reader] });
    else known.readers.push(reader);
  };
  for (const reader of readers) {
    const user_id = reader.userId;
    for (const job_id of reader.jobs) add(reader, `${user_id} job ${job_id}`, { user_id, job_id });
    for (const project_id of reader.projects) add(reader, `${user_id} project ${project_id}`, { user_id, project_id });
  }
  return all;
}

/** One round. Rejects when the gateway does not answer: everything stays as it is. */
export async function beat({ readers, end, announce, feeds, gateway }: BeaconParts): Promise<void> {
  const asked = [...subscriptionsOf(readers()).values()];
  const unsettled = feeds.unsettled();
  const heads = new Map<number, JobHead>();
  for (let from = 0; from < asked.length; from += MAX_QUESTION) {
    const part = asked.slice(from, from + MAX_QUESTION);
    const permissions = await gateway.mayWatchAll(part.map(({ wanted }) => wanted));
    part.forEach(({ wanted: { job_id, project_id }, readers: whose }, index) => {
      const permission = permissions[index];
      if (permission?.status !== "ok") {
        for (const reader of whose) {
          if (job_id !== undefined && reader.jobs.has(job_id)) end(reader, { job_id, reason: "forbidden" });
          if (project_id !== undefined && reader.projects.has(project_id))
            end(reader, { project_id, reason: "forbidden" });
        }
      }
      for (const head of permission?.heads ?? []) heads.set(head.job_id, head);
    });
  }
  feeds.applyHeads([...heads.values()], unsettled);
  for (const { job_id, last_seq, state } of heads.values()) announce({ job_id, last_seq, state });
  for (const reader of readers()) reader.retry();
}

/** Beats until stopped; a slow answer delays the next beat instead of piling up. */
export function startBeacon(parts: BeaconParts, intervalMs: number = BEACON_MS): { stop: () => void } {
  let timer: NodeJS.Timeout;
  let stopped = false;
  const next = () => {
    timer = setTimeout(async () => {
      try {
        await beat(parts);
      } catch (error) {
        parts.logger.warn({ err: error }, "the gateway did not answer the beacon");
      }
      if (!stopped) next();
    }, intervalMs);
    timer.unref();
  };
  next();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
