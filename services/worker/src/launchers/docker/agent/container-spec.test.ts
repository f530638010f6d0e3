import { expect, it } from "vitest";
import { readAgentConfig } from "./config.ts";
import { containerSpec } from "./container-spec.ts";
import { LaunchRequest } from "./protocol.ts";

const settings = { DOCKER_AGENT_SOCKET: "/run/agent.sock", TRAINERS_DIR: "/trainers" };
const image = { reference: "vision-platform-timm:0.1.0", command: ["python", "-m", "timm_trainer"], extraHosts: [] };

function spec(changes: Partial<LaunchRequest> = {}, more: Record<string, string> = {}) {
  const request = LaunchRequest.parse({
    job_id: 6,
    attempt: 2,
    framework: "timm",
    kind: "train",
    trace_id: "t",
    marker: "6-2-abc",
    image: image.reference,
    command: image.command,
    env: { A: "b" },
    shm_bytes: 1_073_741_824,
    gpus: [],
    allow_network: false,
    nice: 0,
    max_runtime_s: 60,
    ...changes,
  });
  return containerSpec(request, readAgentConfig({ ...settings, ...more }), image);
}

it("names a container after its attempt; another platform's after its instance, too", () => {
  expect(spec().name).toBe("vp-6-a2");
  expect(spec({}, { PLATFORM_INSTANCE: "second" }).name).toBe("vp-second-6-a2");
  expect(spec().Labels).toMatchObject({ "vision-platform.job": "6", "vision-platform.attempt": "2" });
});

it("lets the engine say beside each line of the log whose it is", () => {
  const { Labels = {}, HostConfig } = spec();
  const logged = HostConfig?.LogConfig?.Config.labels?.split(",") ?? [];
  expect(logged.map((label: string) => Labels[label])).toEqual(["6", "2", "timm", "t"]);
});

it("gives the GPUs that were asked for, and hides all others from images that would take them", () => {
  expect(spec().HostConfig?.DeviceRequests).toBeUndefined();
  expect(spec().Env).toContain("NVIDIA_VISIBLE_DEVICES=void");
  const { HostConfig, Env } = spec({ gpus: ["1", "MIG-1c4f"] });
  expect(HostConfig?.DeviceRequests).toEqual([{ Driver: "", DeviceIDs: ["1", "MIG-1c4f"], Capabilities: [["gpu"]] }]);
  expect(Env).toEqual(["A=b"]);
});

it("lets a trainer stand back by its weight, and gives one with more cores more of it", () => {
  expect(spec({ cpus: 1 }).HostConfig?.CpuShares).toBe(1_024);
  expect(spec({ cpus: 1, nice: 5 }).HostConfig?.CpuShares).toBe(336);
  expect(spec({ cpus: 8, nice: 5 }).HostConfig?.CpuShares).toBe(2_684);
});

it("allows no swap beyond the memory limit, and sets none without one", () => {
  expect(spec({ memory_bytes: 268_435_456 }).HostConfig).toMatchObject({
    Memory: 268_435_456,
    MemorySwap: 268_435_456,
  });
  expect(spec().HostConfig).not.toHaveProperty("Memory");
});

it("has no way to the world's names unless the network is allowed", () => {
  expect(spec().HostConfig?.Dns).toEqual(["127.0.0.1"]);
  expect(spec({ allow_network: true }).HostConfig).not.toHaveProperty("Dns");
});

it("mounts the cache and nothing else: a volume, or the folder that the operator names", () => {
  expect(spec().HostConfig?.Binds).toEqual(["vision-platform-cache:/cache:rw"]);
  expect(spec({}, { CACHE_HOST_DIR: "/data/cache" }).HostConfig?.Binds).toEqual(["/data/cache:/cache:rw"]);
  expect(spec().HostConfig).not.toHaveProperty("Mounts");
});
