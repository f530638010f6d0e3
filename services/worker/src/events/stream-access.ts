/** Redis users that may do one thing: append to the stream of their own attempt. */
import { createHmac } from "node:crypto";
import type { Logger } from "@vision-platform/common/logger";
import { inStream, streamUser } from "@vision-platform/contracts/names";
import { type Redis, ReplyError } from "ioredis";
import type { EventDoor } from "../supervision/environment.ts";

interface Attempt {
  job_id: number;
  attempt: number;
}

export interface StreamAccess {
  /** The door of an attempt's trainer: HTTP when Redis makes no user, or rejects when EVENTS_MODE is redis. */
  open(attempt: Attempt): Promise<EventDoor>;
  /** The door of a trainer that runs already, launched by whichever worker. Rejects while Redis is away. */
  reopen(attempt: Attempt): Promise<EventDoor>;
  /** Leaves user and stream to the worker that looks after the attempt from now on. */
  leave(attempt: Attempt): void;
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
 * `redis` is the worker's command connection to the server that trainers know as `redisUrl`; `secret` is one that all workers share.
 */
export function createStreamAccess(
  redis: Redis,
  redisUrl: string,
  mode: "auto" | "redis" | "http",
  secret: string,
  logger: Logger,
): StreamAccess {
  const passwords = new Map<string, { attempt: Attempt; password: string }>();
  const commands = ["+xadd", "+ping", "+hello", "+auth", ...(usesOtherDatabase(redisUrl) ? ["+select"] : [])];

  /** Derived, not random: the worker that takes an attempt over makes the same user again. */
  function passwordOf(user: string): string {
    return createHmac("sha256", secret).update(user).digest("hex");
  }

  /** `fresh` forgets what the name was allowed before; without it a trainer's earlier password stays valid. */
  function provision({ job_id, attempt }: Attempt, password: string, fresh = false): Promise<unknown> {
    const rules = [
      ...(fresh ? ["reset"] : []),
      "on",
      `>${password}`,
      `~${inStream(job_id, attempt)}`,
      "-@all",
      ...commands,
    ];
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
      const password = passwordOf(user);
      try {
        await provision(attempt, password, true);
      } catch (error) {
        if (mode === "redis") throw error;
        logger.warn({ err: error, ...attempt }, "Redis makes no user for this trainer: its events come over HTTP");
        return { mode: "http" };
      }
      passwords.set(user, { attempt, password });
      return { mode: "redis", url: addressFor(redisUrl, user, password) };
    },
    async reopen(attempt) {
      if (mode === "http") return { mode: "http" };
      const user = streamUser(attempt.job_id, attempt.attempt);
      const password = passwordOf(user);
      try {
        await provision(attempt, password);
      } catch (error) {
        // Refused by a Redis that makes no users: the trainer speaks to the gateway. One that is away may have made one.
        if (mode === "auto" && error instanceof ReplyError) return { mode: "http" };
        throw error;
      }
      passwords.set(user, { attempt, password });
      return { mode: "redis", url: addressFor(redisUrl, user, password) };
    },
    leave: ({ job_id, attempt }) => void passwords.delete(streamUser(job_id, attempt)),
    async close({ job_id, attempt }) {
      const user = streamUser(job_id, attempt);
      passwords.delete(user);
      await Promise.allSettled([redis.call("ACL", "DELUSER", user), redis.del(inStream(job_id, attempt))]);
    },
  };
}
