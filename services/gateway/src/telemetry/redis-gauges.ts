/** What must hold of Redis, so that a queue loses nothing: seen here, because every installation has a gateway. */
import { askedOnce } from "@vision-platform/common/asked-once";
import type { Redis } from "ioredis";
import { Gauge, type Registry } from "prom-client";

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1];
}

function number(info: string, name: string): number {
  return Number(field(info, name) ?? 0);
}

type Read = (info: string) => number;

/** Without an answer within the connection's own time-out only `vision_platform_redis_up` is told. */
const GAUGES: Record<string, { help: string; read: Read }> = {
  vision_platform_redis_noeviction: {
    help: "1 when Redis never drops a key to make room",
    read: (info) => (field(info, "maxmemory_policy") === "noeviction" ? 1 : 0),
  },
  vision_platform_redis_append_only: {
    help: "1 when Redis keeps an append-only file, and its last write went well",
    read: (info) => (field(info, "aof_enabled") === "1" && field(info, "aof_last_write_status") === "ok" ? 1 : 0),
  },
  vision_platform_redis_memory_used_bytes: {
    help: "Memory that Redis uses",
    read: (info) => number(info, "used_memory"),
  },
  vision_platform_redis_memory_limit_bytes: {
    help: "Memory that Redis may use; 0 without a limit",
    read: (info) => number(info, "maxmemory"),
  },
};

/** `redis`: a command connection, which fails at once while Redis is away. */
export function addRedisGauges(redis: Redis, registry: Registry): void {
  const registers = [registry];
  const info = askedOnce(async () => `${await redis.info("memory")}\n${await redis.info("persistence")}`);
  for (const [name, { help, read }] of Object.entries(GAUGES)) {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const answer = await info();
        if (answer === undefined) this.remove();
        else this.set(read(answer));
      },
    });
  }
  new Gauge({
    name: "vision_platform_redis_up",
    help: "1 while Redis answers this gateway",
    registers,
    async collect() {
      this.set((await info()) === undefined ? 0 : 1);
    },
  });
}
