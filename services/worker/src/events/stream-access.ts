/** Redis users that may do one thing: append to the stream of their own attempt. */
import { randomBytes } from "node:crypto";
import type { Logger } from "@vision-platform/common/logger";
import { inStream, streamUser } from "@vision-platform/contracts/names";
import type { Redis } from "ioredis";
import type { EventDoor } from "../supervision/environment.ts";

interface Attempt {
  job_id: number;
  attempt: number;
}

export interface StreamAccess {
  /** The door of an attempt's trainer: HTTP when Redis makes no user, or rejects when EVENTS_MODE is redis. */
  open(attempt: Attempt): Promise<EventDoor>;
  /** Takes user and stream away; best effort, never rejects. */
  close(attempt: Attempt): Promise<void>;
}

/** The admin's address with the attempt's own user in place of the admin. */
function addressFor(redisUrl: string, user: string, password: string): string {
  const url = new URL(redisUrl);
  url.username = user;
  url.password = password;
  return url.toString();
}

/** A database other than 0 has to be selected by the client first. */
function usesOtherDatabase(redisUrl: string): boolean {
  return !["", "/", "/0"].includes(new URL(redisUrl).pathname);
}

/**
 * Users live in the server's memory only: they are made again whenever the connection comes back.
 * `redis` is the worker's command connection to `redisUrl`.
 */
export function createStreamAccess(
  redis: Redis,
  redisUrl: string,
  mode: "auto" | "redis" | "http",
  logger: Logger,
): StreamAccess {
  const passwords = new Map<string, { attempt: Attempt; password: string }>();
  const commands = ["+xadd", "+ping", "+hello", "+auth", ...(usesOtherDatabase(redisUrl) ? ["+select"] : [])];

  function provision({ job_id, attempt }: Attempt, password: string): Promise<unknown> {
    const rules = ["reset", "on", `>${password}`, `~${inStream(job_id, attempt)}`, "-@all", ...commands];
    return redis.call("ACL", "SETUSER", streamUser(job_id, attempt), ...rules);
  }

  redis.on("ready", () => {
    for (const { attempt, password } of passwords.values()) {
      provision(attempt, password).catch((error: unknown) =>
        logger.warn({ err: error, ...attempt }, "stream user not made again"),
      );
    }
  });

  return {
    async open(attempt) {
      if (mode === "http") return { mode: "http" };
      const user = streamUser(attempt.job_id, attempt.attempt);
      const password = randomBytes(24).toString("hex");
      try {
        await provision(attempt, password);
      } catch (error) {
        if (mode === "redis") throw error;
        logger.warn({ err: error, ...attempt }, "Redis makes no user for this trainer: its events come over HTTP");
        return { mode: "http" };
      }
      passwords.set(user, { attempt, password });
      return { mode: "redis", url: addressFor(redisUrl, user, password) };
    },
    async close({ job_id, attempt }) {
      const user = streamUser(job_id, attempt);
      passwords.delete(user);
      await Promise.allSettled([redis.call("ACL", "DELUSER", user), redis.del(inStream(job_id, attempt))]);
    },
  };
}
