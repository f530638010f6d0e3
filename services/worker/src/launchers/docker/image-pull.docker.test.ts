/** Images that come from a registry, a real one, in all the ways in which that goes well or wrong. */
import { readFile } from "node:fs/promises";
import { createLogger } from "@vision-platform/common/logger";
import { isRetryable } from "@vision-platform/contracts/failure-codes";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { docker } from "../../testing/docker-command.ts";
import { removeLaunchFolders, scriptedLaunch } from "../../testing/launch-spec.ts";
import { eventually } from "../../testing/platform.ts";
import { writeTestTrainers } from "../../testing/test-trainers.ts";
import { LaunchError, type Trainer } from "../launcher.ts";
import { readAgentConfig } from "./agent/config.ts";
import { createImages } from "./agent/images.ts";
import { createDockerLauncher, probeDocker } from "./docker-launcher.ts";
import { engineAnswers, startTestAgent, type TestAgent } from "./testing/agent-process.ts";
import {
  PULLED_COMMAND,
  pushImage,
  REGISTRY_USER,
  type Registry,
  registryThere,
  startRegistry,
} from "./testing/registry.ts";
import { type RegistryDoor, registryDoor } from "./testing/registry-door.ts";

/** More than all buffers on the way hold, so that a door that is shut early keeps most of it out. */
const LAYER_BYTES = 48_000_000;
const HELD_BYTES = 12_000_000;

const there = (await engineAnswers()) && (await registryThere());
const logger = createLogger("test", "error");
let registry: Registry;
let locked: Registry;
let door: RegistryDoor;
let agent: TestAgent;
let image: string;
const launched: Trainer[] = [];

const launcher = () =>
  createDockerLauncher(
    { FRAMEWORK: "scripted", TRAINERS_DIR: agent.trainersDir, DOCKER_AGENT_SOCKET: agent.socket },
    logger,
  );
const present = async () => (await docker(["image", "inspect", image])).code === 0;

/** A launch that may still be under way, and what people hear of it. */
function launch(of = image) {
  const stop = new AbortController();
  const heard: { message: string; pct: number | null }[] = [];
  const spec = scriptedLaunch([], launcher().surroundings, {
    ...{ image: of, command: PULLED_COMMAND, signal: stop.signal },
    onWaiting: (what) => void heard.push(what),
  });
  const trainer = launcher().launch(spec);
  trainer.then(
    (running) => launched.push(running),
    () => undefined,
  );
  const log = () => readFile(spec.directory.log, "utf8");
  const inTheMiddle = () => eventually(() => heard.find(({ pct }) => pct !== null && pct > 0 && pct < 100));
  return { spec, stop, heard, trainer, log, inTheMiddle };
}

async function refusalOf({ trainer }: { trainer: Promise<Trainer> }): Promise<LaunchError> {
  const error = await trainer.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof LaunchError)) throw new Error(`it was not refused: ${error}`);
  return error;
}

describe.skipIf(!there)("an image that a registry has", () => {
  beforeAll(async () => {
    door = await registryDoor();
    image = `${door.prefix}vision-platform-scripted:1`;
    registry = await startRegistry();
    locked = await registry.locked();
    door.leadTo(await registry.port());
    await pushImage(image, LAYER_BYTES);
    agent = await startTestAgent({ IMAGE_REGISTRY: door.prefix, IMAGE_TAG: "1" });
    writeTestTrainers(agent.trainersDir, PULLED_COMMAND);
  });
  afterEach(async () => {
    // The engine notices that nobody waits for a pull when it next has something to tell of it.
    door.release();
    await eventually(() => (door.connections() === 0 ? true : undefined));
    for (const trainer of launched.splice(0)) {
      await launcher().wait(trainer);
      await launcher().remove(trainer);
    }
    await docker(["image", "rm", "--force", image]);
  });
  afterAll(async () => {
    door?.close();
    removeLaunchFolders();
    await agent?.stop();
    await locked?.remove();
    await registry?.remove();
  });

  it("is pulled when it is needed, which people see, and runs; the next launch finds it there", async () => {
    const settings = { DOCKER_AGENT_SOCKET: agent.socket };
    const found = await probeDocker(settings, image, null);
    expect(found).toMatchObject({ ready: true, reason: expect.stringMatching(/pulls/) });
    door.holdAfter(HELD_BYTES);
    const first = launch();
    await first.inTheMiddle();
    door.release();
    expect(await launcher().wait(await first.trainer)).toMatchObject({ code: 0 });
    expect(await first.log()).toContain("tini version");
    const shares = first.heard.flatMap(({ pct }) => pct ?? []);
    expect(first.heard[0]).toEqual({ message: `the image ${image} is pulled`, pct: null });
    expect(shares).toEqual(shares.toSorted((one, other) => one - other));
    expect(shares.at(-1)).toBe(100);

    const second = launch();
    expect(await launcher().wait(await second.trainer)).toMatchObject({ code: 0 });
    expect(second.heard).toEqual([]);
  });

  it("is missing when the registry does not know the tag", async () => {
    await agent.restart({ IMAGE_TAG: "2" });
    const other = image.replace(/1$/, "2");
    const { code, message } = await refusalOf(launch(other));
    await agent.restart();
    expect(code).toBe("IMAGE_MISSING");
    expect(message).toMatch(
      new RegExp(
        `^the image ${other} cannot be pulled \\([^;]*manifest unknown[^;]*\\); ` +
          "make it with ./vp images build scripted, or set IMAGE_REGISTRY to a registry that has it$",
      ),
    );
  });

  describe("and gives to those who may pull", () => {
    beforeAll(async () => door.leadTo(await locked.port()));
    afterAll(async () => {
      door.leadTo(await registry.port());
      await agent.restart();
    });

    const credentials = (password: string) => ({
      IMAGE_PULL_USERNAME: REGISTRY_USER.name,
      IMAGE_PULL_PASSWORD: password,
    });

    it.each([
      ["nobody", {}],
      ["a wrong password", credentials("wrong")],
    ])("refuses %s, and the two settings are named", async (_who, settings) => {
      await agent.restart(settings);
      const { code, message } = await refusalOf(launch());
      expect(code).toBe("IMAGE_MISSING");
      expect(message).toMatch(/cannot be pulled \(.+\); set IMAGE_PULL_USERNAME and IMAGE_PULL_PASSWORD to an account/);
      expect(message).not.toContain("wrong");
    });

    it("takes the right one", async () => {
      await agent.restart(credentials(REGISTRY_USER.password));
      expect(await launcher().wait(await launch().trainer)).toMatchObject({ code: 0 });
    });
  });

  it("is not waited for any longer when the launch is called off in the middle, and comes the next time", async () => {
    door.holdAfter(HELD_BYTES);
    const { spec, stop, trainer, inTheMiddle } = launch();
    await inTheMiddle();
    stop.abort();
    await expect(trainer).rejects.toThrow();
    expect(await present()).toBe(false);
    expect((await launcher().find()).filter(({ job_id }) => job_id === spec.job_id)).toEqual([]);
    door.release();
    expect(await launcher().wait(await launch().trainer)).toMatchObject({ code: 0 });
  });

  it.each([0, HELD_BYTES])("is given up when the registry says nothing more after %i bytes", async (bytes) => {
    const { instance: PLATFORM_INSTANCE, trainersDir: TRAINERS_DIR, socket: DOCKER_AGENT_SOCKET } = agent;
    const settings = { PLATFORM_INSTANCE, TRAINERS_DIR, DOCKER_AGENT_SOCKET, IMAGE_REGISTRY: door.prefix };
    const images = createImages(agent.engine, readAgentConfig(settings), 2_000);
    door.holdAfter(bytes);
    const fetching = images.fetch(image, new AbortController().signal, () => undefined);
    await expect(fetching).rejects.toMatchObject({ code: "launch_failed" });
    await expect(fetching).rejects.toThrow(/cannot be pulled \(nothing came for 2 s\); see whether its registry/);
  });

  // More than a minute: so long the engine itself tries to get the rest of the layer.
  it("may be had later when its registry dies in the middle: another attempt is worth while", async () => {
    door.holdAfter(HELD_BYTES);
    const dying = launch();
    await dying.inTheMiddle();
    await registry.kill();
    door.release();
    const { code, message } = await refusalOf(dying);
    expect(message).toMatch(/cannot be pulled \(.+\); see whether its registry \(IMAGE_REGISTRY\) answers$/);
    expect(isRetryable(code)).toBe(true);
    expect(await present()).toBe(false);
  });
});
