import { tmpdir } from "node:os";
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { createWorkerMetrics } from "./worker-metrics.ts";

it("tells slots, disk and GPUs in base units, and nothing where nobody knows", async () => {
  const registry = new Registry();
  const gpu = { index: 0, name: "H200", memory_mb: 1024 };
  const whole = { ...gpu, uuid: "GPU-1", used_mb: 512, utilization: 0.25 };
  const instance = { ...gpu, uuid: "MIG-1", used_mb: null, utilization: null };
  const gpus = () => [whole, instance];
  createWorkerMetrics(registry, { slots: 2, folder: tmpdir(), busy: () => 1, gpus });
  const text = await registry.metrics();
  expect(text).toContain("vision_platform_worker_slots 2");
  expect(text).toContain("vision_platform_worker_slots_busy 1");
  expect(text).toMatch(/vision_platform_worker_disk_free_bytes \d{6,}/);
  expect(text).toContain('vision_platform_worker_gpu_utilization_ratio{gpu="GPU-1",model="H200"} 0.25');
  expect(text).toContain('vision_platform_worker_gpu_memory_used_bytes{gpu="GPU-1",model="H200"} 536870912');
  expect(text).toContain('vision_platform_worker_gpu_memory_bytes{gpu="MIG-1",model="H200"} 1073741824');
  expect(text).not.toContain('vision_platform_worker_gpu_utilization_ratio{gpu="MIG-1"');
  expect(text).not.toContain('vision_platform_worker_gpu_memory_used_bytes{gpu="MIG-1"');
});

it("tells what has not happened yet as 0, so that the first time counts as an increase", async () => {
  const registry = new Registry();
  const metrics = createWorkerMetrics(registry, { slots: 1, folder: tmpdir(), busy: () => 0, gpus: () => [] });
  expect(await registry.metrics()).toContain('vision_platform_worker_attempts_total{outcome="given_up"} 0');
  metrics.attempts.inc({ outcome: "succeeded" });
  const text = await registry.metrics();
  expect(text).toContain('vision_platform_worker_attempts_total{outcome="succeeded"} 1');
  expect(text).toContain('vision_platform_worker_events_forwarded_total{source="trainer"} 0');
});

it("goes on without a look at a disk that is not there", async () => {
  const registry = new Registry();
  createWorkerMetrics(registry, { slots: 1, folder: "/nowhere", busy: () => 0, gpus: () => [] });
  const text = await registry.metrics();
  expect(text).toContain("vision_platform_worker_slots 1");
  expect(text).not.toMatch(/^vision_platform_worker_disk/m);
});
