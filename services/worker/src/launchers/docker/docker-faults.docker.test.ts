/** What goes wrong around a container, and what the launcher makes of it. */
import { rmSync, symlinkSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createLogger } from "@vision-platform/common/logger";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { removeLaunchFolders, scriptedLaunch } from "../../testing/launch-spec.ts";
import { eventually } from "../../testing/platform.ts";
import type { ScriptStep } from "../../testing/script.ts";
import { SCRIPTED_COMMAND } from "../../testing/scripted-image.ts";
import type { LaunchSpec, Trainer } from "../launcher.ts";
import { createDockerLauncher, probeDocker } from "./docker-launcher.ts";
import { engineAnswers, startTestAgent, type TestAgent } from "./testing/agent-process.ts";
import { silentRegistry } from "./testing/silent-registry.ts";

const FOREVER: ScriptStep = { do: "sleep", ms: 600_000 };
const READY: ScriptStep = { do: "print", text: "ready\n" };
const MIB = 1_048_576;

const there = await engineAnswers();
const logger = createLogger("test", "error");
let agent: TestAgent;
let changed = false;
const launched: Trainer[] = [];

const launcher = () => createDockerLauncher(agent.launcherSettings, logger);

function specOf(script: ScriptStep[], changes: Partial<LaunchSpec> = {}): LaunchSpec {
  const place = { image: agent.image, command: SCRIPTED_COMMAND };
  return scriptedLaunch(script, launcher().surroundings, { ...place, ...changes });
}

async function launch(script: ScriptStep[], changes: Partial<LaunchSpec> = {}) {
  const spec = specOf(script, changes);
  const trainer = await launcher().launch(spec);
  launched.push(trainer);
  const log = () => readFile(spec.directory.log, "utf8");
  const container = agent.engine.getContainer(trainer.identity.handle ?? "");
  const untilLogged = (text: string) => eventually(async () => ((await log()).includes(text) ? true : undefined));
  return { spec, trainer, log, container, untilLogged };
}

/** The agent with other settings, for one test. */
async function agentWith(settings: Record<string, string>): Promise<void> {
  changed = true;
  await agent.restart(settings);
}

describe.skipIf(!there)("containers", () => {
  beforeAll(async () => {
    agent = await startTestAgent({ WORK_BYTES: String(8 * MIB) });
  });
  afterEach(async () => {
    for (const trainer of launched.splice(0)) {
      await launcher().stop(trainer, "SIGKILL");
      await launcher().remove(trainer);
    }
    if (changed) await agent.restart();
    changed = false;
  });
  afterAll(async () => {
    removeLaunchFolders();
    await agent.stop();
  });

  describe("out of memory", () => {
    const limited = { memoryBytes: 128 * MIB };

    it("is told of the trainer itself", async () => {
      const { trainer } = await launch(
        [
          { do: "allocate", mebibytes: 400 },
          { do: "exit", code: 0 },
        ],
        limited,
      );
      expect(await launcher().wait(trainer)).toMatchObject({ signal: "SIGKILL", outOfMemory: true });
    });

    it("is told of a child, also when the trainer ends with a code of its own", async () => {
      const script: ScriptStep[] = [
        { do: "child_allocates", mebibytes: 400 },
        { do: "exit", code: 12 },
      ];
      const { trainer } = await launch(script, limited);
      expect(await launcher().wait(trainer)).toMatchObject({ code: 12, outOfMemory: true });
    });

    it("is not told of a kill from outside", async () => {
      const { trainer, container, untilLogged } = await launch([READY, FOREVER], limited);
      await untilLogged("ready");
      await container.kill();
      expect(await launcher().wait(trainer)).toMatchObject({ signal: "SIGKILL", outOfMemory: false });
    });
  });

  it("tells of a container that somebody removed", async () => {
    const { trainer, container, untilLogged } = await launch([READY, FOREVER]);
    await untilLogged("ready");
    await container.remove({ force: true });
    expect(await launcher().wait(trainer)).toMatchObject({ code: null, taken: { by: "removed" } });
  });

  it("names a missing image and the command that makes it", async () => {
    await agentWith({ IMAGE_TAG: "9.9.9" });
    const image = "vision-platform-scripted:9.9.9";
    const launching = launcher().launch(specOf([], { image }));
    await expect(launching).rejects.toMatchObject({ code: "IMAGE_MISSING" });
    await expect(launching).rejects.toThrow("./vp images build scripted");
    expect(await probeDocker({ DOCKER_AGENT_SOCKET: agent.socket }, image, null)).toMatchObject({ ready: false });
    expect(await launcher().find()).toEqual([]);
  });

  it("names an image whose registry is away, which another attempt may find there again", async () => {
    await agentWith({ IMAGE_TAG: "9.9.9", IMAGE_REGISTRY: "127.0.0.1:9/nobody/" });
    const launching = launcher().launch(specOf([], { image: "127.0.0.1:9/nobody/vision-platform-scripted:9.9.9" }));
    await expect(launching).rejects.toMatchObject({ code: "LAUNCH_FAILED" });
    await expect(launching).rejects.toThrow(/127.0.0.1:9\/nobody.*cannot be pulled.*IMAGE_REGISTRY/);
  });

  it("ends a pull that nobody waits for any more", async () => {
    const registry = await silentRegistry();
    await agentWith({ IMAGE_TAG: "9.9.9", IMAGE_REGISTRY: registry.prefix });
    const stop = new AbortController();
    const waited: string[] = [];
    const spec = specOf([], {
      image: `${registry.prefix}vision-platform-scripted:9.9.9`,
      signal: stop.signal,
      onWaiting: ({ message }) => void waited.push(message),
    });
    const launching = launcher().launch(spec);
    launching.catch(() => undefined);
    await eventually(() => (registry.connections() > 0 ? true : undefined));
    expect(waited.join()).toContain("is pulled");
    const began = Date.now();
    stop.abort();
    await expect(launching).rejects.toThrow();
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(await launcher().find()).toEqual([]);
    registry.close();
  });

  it("leaves nothing of a launch that is called off while it starts", async () => {
    for (const afterMs of [0, 30, 120, 250]) {
      const stop = new AbortController();
      const spec = specOf([READY, FOREVER], { signal: stop.signal });
      const launching = launcher().launch(spec);
      setTimeout(() => stop.abort(), afterMs);
      await launching.then(
        (trainer) => launched.push(trainer),
        () => undefined,
      );
      const left = (await launcher().find()).filter(({ job_id }) => job_id === spec.job_id);
      expect(left.length).toBe(launched.filter(({ ids }) => ids.job_id === spec.job_id).length);
    }
  });

  it("launches nothing on a full disk, and names the place and the bytes", async () => {
    await agentWith({ MIN_FREE_BYTES: "1000000000000000" });
    const launching = launcher().launch(specOf([]));
    await expect(launching).rejects.toMatchObject({ code: "LAUNCH_FAILED" });
    await expect(launching).rejects.toThrow(/\d+ bytes are free at \/.*1000000000000000/);
  });

  it("lets a trainer fill its own folder and nothing else", async () => {
    const script: ScriptStep[] = [
      { do: "fill", file: "/work/big", mebibytes: 50 },
      { do: "fill", file: "/etc/passwd", mebibytes: 1 },
      { do: "fill", file: "/opt/file", mebibytes: 1 },
      { do: "exit", code: 5 },
    ];
    const { trainer, log } = await launch(script);
    expect(await launcher().wait(trainer)).toMatchObject({ code: 5 });
    expect(await log()).toBe("/work/big: ENOSPC\n/etc/passwd: EACCES\n/opt/file: EROFS\n");
  });

  it("tells the exit also when the log's own disk is full", async () => {
    const spec = specOf([READY, { do: "exit", code: 3 }]);
    rmSync(spec.directory.log, { force: true });
    symlinkSync("/dev/full", spec.directory.log);
    const trainer = await launcher().launch(spec);
    launched.push(trainer);
    expect(await launcher().wait(trainer)).toMatchObject({ code: 3 });
  });

  it("reaches nothing of the world, and nothing of this machine", async () => {
    const script: ScriptStep[] = [
      { do: "connect", host: "192.0.2.1", port: 80 },
      { do: "connect", host: "1.1.1.1", port: 53 },
      { do: "connect", host: "example.org", port: 80 },
      { do: "connect", host: "169.254.169.254", port: 80 },
      { do: "exit", code: 0 },
    ];
    const { trainer, log } = await launch(script);
    await launcher().wait(trainer);
    expect((await log()).match(/ not reached/g)).toHaveLength(4);
  });

  it("goes on when the agent is killed: no line is lost, and the exit is told", async () => {
    const script: ScriptStep[] = [
      READY,
      { do: "sleep", ms: 2_000 },
      { do: "print", text: "later\n" },
      { do: "exit", code: 3 },
    ];
    const { trainer, log, untilLogged } = await launch(script);
    await untilLogged("ready");
    agent.kill("SIGKILL");
    await agent.restart();
    expect(await launcher().wait(trainer)).toMatchObject({ code: 3 });
    expect(await log()).toBe("ready\nlater\n");
  });

  it("ends a container that runs longer than it may, when nobody else does", async () => {
    const { trainer, untilLogged } = await launch([READY, FOREVER], { maxRuntimeS: 2 });
    await untilLogged("ready");
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    // The agent looks every half minute, and when it starts.
    await agent.restart();
    expect(await launcher().wait(trainer)).toMatchObject({ signal: "SIGKILL", taken: { by: "deadline" } });
  });

  describe("a long log", () => {
    it("is complete as long as the engine keeps all of it, also over several of its files", async () => {
      await agentWith({ LOG_BYTES: String(48 * MIB) });
      const lines = 80_000;
      const { trainer, log } = await launch([
        { do: "print_lines", count: lines, characters: 60 },
        { do: "exit", code: 0 },
      ]);
      await launcher().wait(trainer);
      const written = (await log()).trimEnd().split("\n");
      expect(written.length).toBe(lines);
      expect(written.every((line, index) => line.startsWith(`${index + 1}.`))).toBe(true);
    });

    it("says what may be left out where the engine keeps less", async () => {
      await agentWith({ LOG_BYTES: String(MIB) });
      const { spec, trainer } = await launch([
        { do: "print_lines", count: 40_000, characters: 60 },
        { do: "exit", code: 0 },
      ]);
      await launcher().wait(trainer);
      // A worker that comes later finds only what is kept.
      const adopted = await launcher().adopt(trainer.ids, trainer.identity, spec.directory);
      if (!adopted) throw new Error("the container is gone");
      await launcher().wait(adopted);
      const text = await readFile(spec.directory.log, "utf8");
      expect(text.length).toBeLessThan(2_400_000);
      expect(text).toMatch(/the engine keeps 786432 bytes of a trainer's output: lines may be left out above/);
    });
  });
});
