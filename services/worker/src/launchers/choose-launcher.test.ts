import { ConfigError } from "@vision-platform/common/config";
import { createLogger } from "@vision-platform/common/logger";
import { describe, expect, it } from "vitest";
import { readConfig, type WorkerConfig } from "../config.ts";
import { chooseLauncher } from "./choose-launcher.ts";
import { LaunchError } from "./launcher.ts";

const logger = createLogger("test", "silent");
const image = () => "vision-platform-timm:0.1.0";

function config(settings: Record<string, string> = {}): WorkerConfig {
  return readConfig({
    FRAMEWORK: "timm",
    GATEWAY_URL: "http://127.0.0.1:8080",
    INTERNAL_TOKEN: "t".repeat(32),
    REDIS_URL: "redis://127.0.0.1:6379",
    S3_ENDPOINT: "http://127.0.0.1:9000",
    S3_ACCESS_KEY_ID: "id",
    S3_SECRET_ACCESS_KEY: "secret",
    STORAGE_BUCKET: "bucket",
    WORK_DIR: "/tmp/work",
    TRAINERS_DIR: "/tmp/trainers",
    ...settings,
  });
}

async function chosen(settings: Record<string, string>, name = image) {
  const { launcher, reason } = await chooseLauncher(config(settings), name, logger);
  return { name: launcher.name, outlivesWorker: launcher.outlivesWorker, reason };
}

describe("a worker that is told", () => {
  it("takes that launcher, and says so", async () => {
    expect(await chosen({ TRAINING_EXECUTION_MODE: "subprocess" })).toEqual({
      name: "subprocess",
      outlivesWorker: false,
      reason: "TRAINING_EXECUTION_MODE=subprocess",
    });
    const docker = { TRAINING_EXECUTION_MODE: "docker", DOCKER_AGENT_SOCKET: "/nowhere/agent.sock" };
    expect(await chosen(docker)).toMatchObject({ name: "docker", outlivesWorker: true });
  });

  it("does not start without what that launcher needs", async () => {
    await expect(chosen({ TRAINING_EXECUTION_MODE: "docker" })).rejects.toThrow(ConfigError);
    await expect(chosen({ TRAINING_EXECUTION_MODE: "docker" })).rejects.toThrow(/DOCKER_AGENT_SOCKET: it is not set/);
  });
});

describe("a worker that finds out by itself", () => {
  it("starts processes where there is neither cluster nor docker agent", async () => {
    expect(await chosen({})).toMatchObject({ name: "subprocess", reason: "no docker agent is configured" });
  });

  it("starts processes while the docker agent does not answer, and says that", async () => {
    const { name, reason } = await chosen({ DOCKER_AGENT_SOCKET: "/nowhere/agent.sock" });
    expect(name).toBe("subprocess");
    expect(reason).toContain("/nowhere/agent.sock");
  });

  it("starts processes where no manifest says which image it would be", async () => {
    const missing = () => {
      throw new LaunchError("LAUNCH_FAILED", "trainer.json is missing");
    };
    const asked = chosen({ DOCKER_AGENT_SOCKET: "/nowhere/agent.sock" }, missing);
    expect(await asked).toMatchObject({ name: "subprocess", reason: "trainer.json is missing" });
  });
});
