import { connectRedis } from "@vision-platform/common/redis";
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { testServices } from "../config.ts";
import { addRedisGauges } from "./redis-gauges.ts";

async function told(url: string): Promise<string> {
  const redis = connectRedis(url, "command", { enableOfflineQueue: true });
  const registry = new Registry();
  addRedisGauges(redis, registry);
  const text = await registry.metrics();
  redis.disconnect();
  return text;
}

it("tells with the first look what holds of Redis", async () => {
  const text = await told(testServices().TEST_REDIS_URL);
  expect(text).toContain("vision_platform_redis_up 1");
  expect(text).toContain("vision_platform_redis_noeviction 1");
  expect(text).toMatch(/vision_platform_redis_append_only [01]\n/);
  expect(text).toMatch(/vision_platform_redis_memory_used_bytes \d{5,}/);
});

it("tells only that Redis is away when it is", async () => {
  const text = await told("redis://127.0.0.1:9");
  expect(text).toContain("vision_platform_redis_up 0");
  expect(text).not.toMatch(/^vision_platform_redis_(noeviction|append_only|memory\w+) /m);
});
