/** What a worker makes of an image when the trainer's sources lie beside it: gateway, worker, agent, engine and images are real. */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { relayedDoors } from "@vision-platform/common/relayed-address";
import { SOURCE_LABEL, sourceHash } from "@vision-platform/common/trainer-source";
import type { WorkerView } from "@vision-platform/contracts/api/workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { engineAnswers, startTestAgent, type TestAgent } from "./launchers/docker/testing/agent-process.ts";
import { testServices } from "./testing/config.ts";
import { eventually, startTestPlatform, type TestPlatform } from "./testing/platform.ts";
import type { WorkerProcess } from "./testing/worker-process.ts";

const there = await engineAnswers();
let platform: TestPlatform;
let agent: TestAgent;
let worker: WorkerProcess | undefined;
let doors: Record<string, string>;
const tags: string[] = [];

const isOver = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);

function addSources(): void {
  for (const folder of ["sdk", "scripted"]) {
    mkdirSync(join(agent.trainersDir, folder), { recursive: true });
    writeFileSync(join(agent.trainersDir, folder, "pyproject.toml"), "[project]\n");
  }
}

function removeSources(): void {
  rmSync(join(agent.trainersDir, "sdk"), { recursive: true, force: true });
  rmSync(join(agent.trainersDir, "scripted/pyproject.toml"), { force: true });
}

/** The script trainer's image under another tag, and the agent told of it; with `source` it says what it was built from. */
async function imageOf(source: string | null): Promise<string> {
  const tag = `${agent.instance}-${tags.length}`;
  tags.push(tag);
  const container = await agent.engine.createContainer({ Image: agent.image });
  const changes = source === null ? {} : { changes: `LABEL ${SOURCE_LABEL}=${source}` };
  await container.commit({ repo: "vision-platform-scripted", tag, ...changes });
  await container.remove();
  await agent.restart({ IMAGE_TAG: tag });
  return tag;
}

/** As people see the worker that chose. */
async function choice(IMAGE_TAG: string, TRAINING_EXECUTION_MODE = "auto"): Promise<WorkerView> {
  const started = await platform.worker({ ...agent.workerSettings, ...doors, IMAGE_TAG, TRAINING_EXECUTION_MODE });
  worker = started;
  return await eventually(async () => {
    const known = await platform.workers();
    return known.find(({ worker_id }) => started.logged().includes(worker_id));
  });
}

describe.skipIf(!there)("beside the sources of its trainer a worker", () => {
  let sources: string | null;
  beforeAll(async () => {
    platform = await startTestPlatform();
    const { url: gateway_url, redis_url } = platform.gateway;
    const { worker: reached, RELAYS } = relayedDoors({
      gateway_url,
      redis_url,
      s3_endpoint: testServices().TEST_S3_ENDPOINT,
    });
    doors = reached;
    agent = await startTestAgent({ RELAYS });
  });
  beforeEach(() => {
    addSources();
    sources = sourceHash(agent.trainersDir, "scripted");
  });
  afterEach(async () => {
    await worker?.stop();
    removeSources();
  });
  afterAll(async () => {
    await platform.stop();
    for (const tag of tags) await agent.engine.getImage(`vision-platform-scripted:${tag}`).remove({ force: true });
    await agent.stop();
  });

  it("takes an image that was built from them", async () => {
    expect(sources).not.toBeNull();
    expect(await choice(await imageOf(sources))).toMatchObject({ launcher: "docker" });
  });

  it("takes processes instead of an image of another state, and says which command builds it", async () => {
    const tag = await imageOf(sources);
    appendFileSync(join(agent.trainersDir, "scripted/pyproject.toml"), "# edited\n");
    const built = `the image vision-platform-scripted:${tag} was built from another state of trainers/scripted`;
    expect(await choice(tag)).toMatchObject({
      launcher: "subprocess",
      launcher_reason: `${built}: ./vp images build scripted`,
    });
  });

  it("takes processes instead of an image that does not say, or is not there", async () => {
    const silent = await choice(await imageOf(null));
    expect(silent).toMatchObject({ launcher: "subprocess" });
    expect(silent.launcher_reason).toMatch(/does not say what it was built from: \.\/vp images build scripted$/);
    await worker?.stop();
    await agent.restart({ IMAGE_TAG: "9.9.9" });
    const missing = await choice("9.9.9");
    expect(missing).toMatchObject({ launcher: "subprocess" });
    expect(missing.launcher_reason).toMatch(/scripted:9\.9\.9 is not there: \.\/vp images build scripted$/);
  });

  it("runs any image when it is told to, and warns", async () => {
    const { launcher, launcher_reason } = await choice(await imageOf("0".repeat(64)), "docker");
    expect(launcher).toBe("docker");
    expect(launcher_reason).toMatch(/^TRAINING_EXECUTION_MODE=docker, though the image .* another state/);
    const lines = worker?.logged().split("\n") ?? [];
    expect(lines.filter((line) => line.includes('"warning"') && line.includes("another state"))).toHaveLength(1);
  });

  it("says with each training when they have changed since it chose containers", async () => {
    const tag = await imageOf(sources);
    await choice(tag);
    const warnings = async () => {
      const job_id = await platform.submit([{ do: "succeed", metrics: { "val/top1": 1 } }]);
      expect(await platform.until(job_id, isOver, 100_000)).toMatchObject({ state: "SUCCEEDED" });
      return (await platform.events(job_id)).filter(({ type }) => type === "warning").map(({ data }) => data);
    };
    expect(await warnings()).toEqual([]);
    appendFileSync(join(agent.trainersDir, "scripted/pyproject.toml"), "# edited\n");
    const message = `the image vision-platform-scripted:${tag} was built from another state of trainers/scripted`;
    expect(await warnings()).toEqual([
      { code: "image_of_other_sources", message: `${message}: ./vp images build scripted` },
    ]);
  });

  it("compares nothing where there are none", async () => {
    removeSources();
    expect(await choice(await imageOf("0".repeat(64)))).toMatchObject({ launcher: "docker" });
  });
});
