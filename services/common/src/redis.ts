/** Redis connections, and what the platform demands of the server. */
import { Redis, type RedisOptions } from "ioredis";

/**
 * `command`: fails within seconds when Redis is away, so that a request never hangs.
 * `blocking`: waits for as long as it takes (BullMQ workers, XREAD loops).
 */
export function connectRedis(url: string, purpose: "command" | "blocking", options: RedisOptions = {}): Redis {
  const base: RedisOptions = {
    connectTimeout: 5_000,
    retryStrategy: (times) => Math.min(100 * times, 2_000),
    ...(purpose === "command"
      ? { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: 2_000 }
      : { maxRetriesPerRequest: null }),
  };
  const redis = new Redis(url, { ...base, ...options });
  // Without a listener ioredis prints to the console; readiness and the caller's own errors tell the story.
  redis.on("error", () => undefined);
  return redis;
}

/** Resolves when Redis answers and never evicts keys; rejects with a sentence that says what is wrong. */
export async function checkRedis(redis: Redis): Promise<void> {
  if ((await redis.ping()) !== "PONG") throw new Error("Redis does not answer PING");
  const info = await redis.info("memory");
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy !== undefined && policy !== "noeviction") {
    throw new Error(`Redis' maxmemory-policy is ${policy}; set it to noeviction, or queued jobs can vanish`);
  }
}
