import { expect, it } from "vitest";
import { readAgentConfig } from "./config.ts";

const settings = { DOCKER_AGENT_SOCKET: "/run/agent.sock", TRAINERS_DIR: "/trainers" };
const read = (more: Record<string, string>) => readAgentConfig({ ...settings, ...more });

it("asks no registry for names that nobody there owns", () => {
  expect(read({}).IMAGE_PULL).toBe("never");
  expect(read({ IMAGE_REGISTRY: "registry.example.org/team/" }).IMAGE_PULL).toBe("missing");
  expect(read({ IMAGE_PULL: "always" }).IMAGE_PULL).toBe("always");
});

it("reads relays with and without another target", () => {
  const { RELAYS } = read({ RELAYS: "s3.internal:9000=127.0.0.1:7070, storage.example.org:443" });
  expect(RELAYS).toEqual([
    { name: "s3.internal", port: 9000, target: { host: "127.0.0.1", port: 7070 } },
    { name: "storage.example.org", port: 443, target: { host: "storage.example.org", port: 443 } },
  ]);
});

it.each([
  ["RELAYS", "s3:99999"],
  ["RELAYS", "s3"],
  ["DOCKER_HOST", "tcp://10.0.0.1:2375"],
  ["PLATFORM_INSTANCE", "Bad_Name"],
  ["IMAGE_REGISTRY", "registry.example.org/team"],
  ["CACHE_HOST_DIR", "/data:/etc"],
  ["WORK_BYTES", "0"],
])("names %s when it is %s", (name, value) => {
  expect(() => read({ [name]: value })).toThrow(new RegExp(`${name}: found .*expected`));
});
