import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connectDatabase } from "../db/db.ts";
import { startTestGateway, type TestGateway } from "../testing.ts";
import { addCensusGauges } from "./census.ts";

let test: TestGateway;
beforeAll(async () => {
  test = await startTestGateway();
});
afterAll(() => test?.stop());

it("tells zeros of a framework that has nothing to do", async () => {
  const registry = new Registry();
  addCensusGauges(test.gateway.db, registry, ["timm"]);
  const text = await registry.metrics();
  for (const name of ["attempts_waiting", "attempts_running", "oldest_waiting_seconds", "workers"]) {
    expect(text).toContain(`vision_platform_${name}{framework="timm"} 0`);
  }
  expect(text).toContain('vision_platform_jobs{state="QUEUED"} 0');
  expect(text).toContain("vision_platform_leases_near_expiry 0");
});

it("leaves out what it cannot know while Postgres is away, and lets the others be told", async () => {
  const away = connectDatabase("postgres://nobody@127.0.0.1:9/none", 1);
  const registry = new Registry();
  addCensusGauges(away, registry, ["timm"]);
  const text = await registry.metrics();
  expect(text).toContain("# TYPE vision_platform_attempts_waiting gauge");
  expect(text).not.toMatch(/^vision_platform_/m);
  await away.destroy();
});
