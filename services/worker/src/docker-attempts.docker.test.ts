/** Whole attempts in containers: gateway, Redis, S3, worker, docker agent and engine are real; the trainer follows a script. */
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { relayedDoors } from "@vision-platform/common/relayed-address";
import { attemptLogKey } from "@vision-platform/contracts/names";
import type Docker from "dockerode";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { engineAnswers, startTestAgent, type TestAgent } from "./launchers/docker/testing/agent-process.ts";
import { silentRegistry } from "./launchers/docker/testing/silent-registry.ts";
import { testServices } from "./testing/config.ts";
import { eventually, startTestPlatform, type TestPlatform } from "./testing/platform.ts";
import type { ScriptStep } from "./testing/script.ts";
import { testStorage } from "./testing/test-storage.ts";
import type { WorkerProcess } from "./testing/worker-process.ts";

const READY: ScriptStep = { do: "event", type: "phase", data: { name: "training" } };
const FOREVER: ScriptStep = { do: "sleep", ms: 600_000 };
const SUCCEED: ScriptStep = { do: "succeed", metrics: { "val/top1": 0.5 } };

const there = await engineAnswers();
let platform: TestPlatform;
let agent: TestAgent;
let doors: Record<string, string>;
const workers: WorkerProcess[] = [];

const over = ({ state }: { state: string }) => ["SUCCEEDED", "FAILED", "CANCELLED"].includes(state);
const isTraining = ({ phase }: { phase: string | null }) => phase === "training";

async function startWorker(settings: Record<string, string> = {}): Promise<WorkerProcess> {
  const mode = { TRAINING_EXECUTION_MODE: "docker", ...agent.workerSettings, ...doors };
  const worker = await platform.worker({ ...mode, ...settings });
  workers.push(worker);
  return worker;
}

async function containersOf(job_id: number): Promise<Docker.ContainerInfo[]> {
  const label = [`vision-platform.instance=${agent.instance}`, `vision-platform.job=${job_id}`];
  return await agent.engine.listContainers({ all: true, filters: { label } });
}

async function untilNoContainer(job_id: number): Promise<void> {
  await eventually(async () => ((await containersOf(job_id)).length === 0 ? true : undefined));
}

async function steps(job_id: number): Promise<unknown[]> {
  const events = await platform.events(job_id);
  return events.filter(({ type }) => type === "progress").map(({ data }) => data.step);
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

async function storedLog(job_id: number): Promise<string> {
  const command = new GetObjectCommand({ Bucket: platform.bucket, Key: attemptLogKey(job_id, 1) });
  return (await (await testStorage(platform.bucket).send(command)).Body?.transformToString()) ?? "";
}

describe.skipIf(!there)("attempts in containers", () => {
  beforeAll(async () => {
    platform = await startTestPlatform();
    const { url: gateway_url, redis_url } = platform.gateway;
    const { worker, RELAYS } = relayedDoors({ gateway_url, redis_url, s3_endpoint: testServices().TEST_S3_ENDPOINT });
    doors = worker;
    agent = await startTestAgent({ RELAYS });
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) {
      worker.kill("SIGCONT");
      worker.kill("SIGKILL");
      await worker.ended;
    }
    await agent.removeContainers();
  });
  afterAll(async () => {
    await platform.stop();
    await agent.stop();
  });

  it.each(["redis", "http"])(
    "reach storage and gateway, speak by %s, and leave nothing behind",
    async (EVENTS_MODE) => {
      await startWorker({ EVENTS_MODE });
      const hello: ScriptStep = { do: "print", text: "hello from the container\n" };
      const job_id = await platform.submit([hello, { do: "steps", count: 50, every_ms: 1 }, SUCCEED]);
      const job = await platform.until(job_id, over, 100_000);
      expect(job).toMatchObject({ state: "SUCCEEDED", metrics: { "val/top1": 0.5 } });
      expect(await steps(job_id)).toEqual(upTo(50));
      expect(await storedLog(job_id)).toContain("hello from the container");
      await untilNoContainer(job_id);
    },
  );

  it("go on when their worker is killed with -9: the next one takes them over, and no event is lost", async () => {
    const first = await startWorker();
    const job_id = await platform.submit([READY, { do: "steps", count: 100, every_ms: 100 }, SUCCEED]);
    await platform.until(job_id, isTraining, 100_000);
    const [container] = await containersOf(job_id);
    first.kill("SIGKILL");
    await first.ended;
    expect((await containersOf(job_id)).map(({ Id, State }) => [Id, State])).toEqual([[container?.Id, "running"]]);
    await startWorker();
    const job = await platform.until(job_id, over, 100_000);
    expect(job).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
    expect(await steps(job_id)).toEqual(upTo(100));
    await untilNoContainer(job_id);
  });

  it("go on from their checkpoint when somebody removes the container", async () => {
    await startWorker();
    const job_id = await platform.submit([READY, { ...FOREVER, attempt: 1 }, SUCCEED]);
    await platform.until(job_id, isTraining, 100_000);
    const [container] = await containersOf(job_id);
    await agent.engine.getContainer(container?.Id ?? "").remove({ force: true });
    expect(await platform.until(job_id, over, 100_000)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
  });

  it("fail with OOM_KILLED when memory runs out in a child of the trainer", async () => {
    await startWorker({ MAX_MEMORY_BYTES: "134217728" });
    const job_id = await platform.submit([
      { do: "child_allocates", mebibytes: 400 },
      { do: "exit", code: 1 },
    ]);
    const job = await platform.until(job_id, over, 100_000);
    expect(job).toMatchObject({ state: "FAILED", failure: { code: "OOM_KILLED" } });
  });

  it("fail with IMAGE_MISSING and the command that makes it", async () => {
    await agent.restart({ IMAGE_TAG: "9.9.9" });
    await startWorker({ IMAGE_TAG: "9.9.9" });
    const job_id = await platform.submit([SUCCEED]);
    const job = await platform.until(job_id, over, 100_000);
    expect(job).toMatchObject({ state: "FAILED", failure: { code: "IMAGE_MISSING" } });
    expect(job.failure?.message).toContain("./vp images build scripted");
    await agent.restart();
  });

  describe("cancelled", () => {
    async function cancelled(job_id: number): Promise<void> {
      await platform.cancel(job_id);
      expect(await platform.until(job_id, over, 100_000)).toMatchObject({ state: "CANCELLED" });
      await untilNoContainer(job_id);
    }

    it("while the image is pulled", async () => {
      const registry = await silentRegistry();
      const settings = { IMAGE_TAG: "9.9.9", IMAGE_REGISTRY: registry.prefix };
      await agent.restart(settings);
      await startWorker(settings);
      const job_id = await platform.submit([SUCCEED]);
      await eventually(() => (registry.connections() > 0 ? true : undefined));
      const job = await platform.until(job_id, ({ waiting_reason }) => waiting_reason !== null, 20_000);
      expect(job.waiting_reason).toContain("is pulled");
      await cancelled(job_id);
      registry.close();
      await agent.restart();
    });

    it("while the container starts", async () => {
      await startWorker();
      const job_id = await platform.submit([FOREVER]);
      await platform.until(job_id, ({ state }) => state === "RUNNING", 100_000);
      await cancelled(job_id);
    });

    it("while it trains", async () => {
      await startWorker();
      const job_id = await platform.submit([READY, FOREVER]);
      await platform.until(job_id, isTraining, 100_000);
      await cancelled(job_id);
    });

    it("while it uploads, and does not answer", async () => {
      await startWorker({ GRACE_S: "1" });
      const uploading: ScriptStep = { do: "event", type: "phase", data: { name: "uploading" } };
      const job_id = await platform.submit([{ do: "ignore_sigterm" }, uploading, FOREVER]);
      await platform.until(job_id, ({ phase }) => phase === "uploading", 100_000);
      await cancelled(job_id);
    });
  });
});
