import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { createJob, getJob } from "@vision-platform/contracts/api/jobs";
import { queueJobId } from "@vision-platform/contracts/names";
import { afterAll, beforeAll, expect, it } from "vitest";
import { testServices } from "../config.ts";
import { event, type JobWorld, startJobWorld } from "../jobs/job-testing.ts";

/** A wire to Redis that can be cut. */
const sockets = new Set<Socket>();
let cut = false;
const wire = createServer((client) => {
  if (cut) {
    client.destroy();
    return;
  }
  const target = new URL(testServices().TEST_REDIS_URL);
  const server = connect(Number(target.port), target.hostname);
  for (const socket of [client, server]) {
    sockets.add(socket);
    socket
      .on("error", () => undefined)
      .on("close", () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
  }
  client.pipe(server).pipe(client);
});

let world: JobWorld;
beforeAll(async () => {
  wire.listen(0, "127.0.0.1");
  await once(wire, "listening");
  const url = new URL(testServices().TEST_REDIS_URL);
  url.port = String((wire.address() as { port: number }).port);
  url.pathname = "/0";
  world = await startJobWorld({ config: { REDIS_URL: url.href } });
});
afterAll(async () => {
  await world?.stop();
  for (const socket of sockets) socket.destroy();
  wire.close();
});

it("goes on without Redis, and queues what was submitted meanwhile once it is back", async () => {
  const attempt = await world.running();
  cut = true;
  for (const socket of sockets) socket.destroy();
  const job = await world.owner.call(createJob, { body: world.spec({ start: true }) });
  expect(job.state).toBe("QUEUED");
  expect(await attempt.push([event(1)])).toEqual({ acked: 1, cancel: false });
  await attempt.deliver(2);
  expect(await attempt.finish("succeeded")).toEqual({ state: "SUCCEEDED", attempt: 1 });
  cut = false;
  const key = `vp:train-timm:${queueJobId(job.id, 1)}`;
  const held = async () => await world.gateway.redis.exists(key).catch(() => 0);
  await expect.poll(held, { timeout: 10_000 }).toBe(1);
  expect((await world.owner.call(getJob, { params: { job_id: job.id } })).state).toBe("QUEUED");

  const metrics = await (await fetch(`${world.url}/metrics`)).text();
  expect(metrics).toMatch(/vision_platform_jobs\{state="SUCCEEDED",?.*\} 1\n/);
  expect(metrics).toMatch(/vision_platform_oldest_waiting_seconds\{.*\} [0-9.]+\n/);
  expect(metrics).toMatch(/vision_platform_reconciler_last_success_timestamp_seconds\{.*\} 1[0-9.]+/);
  expect(metrics).toMatch(/vision_platform_events_stored_total\{source="trainer",?.*\} 2\n/);
});
