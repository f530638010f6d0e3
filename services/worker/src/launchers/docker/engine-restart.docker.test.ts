/** The engine itself goes away and comes back: with an engine of this test's own, for every other container would end too. */
import { readFileSync } from "node:fs";
import { createLogger } from "@vision-platform/common/logger";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { removeLaunchFolders, scriptedLaunch } from "../../testing/launch-spec.ts";
import { eventually } from "../../testing/platform.ts";
import type { ScriptStep } from "../../testing/script.ts";
import { SCRIPTED_COMMAND, scriptedImage } from "../../testing/scripted-image.ts";
import { createDockerLauncher } from "./docker-launcher.ts";
import { engineAnswers, startTestAgent, type TestAgent } from "./testing/agent-process.ts";
import { mayHaveEngine, type OwnEngine, ownEngine } from "./testing/own-engine.ts";

const there = mayHaveEngine() && (await engineAnswers());
let engine: OwnEngine;
let agent: TestAgent;
// What is tested is that it goes on: it says with each try that nobody answers.
const logger = createLogger("test", "error");
const launcher = () => createDockerLauncher(agent.launcherSettings, logger);

async function running(first: ScriptStep[] = []) {
  const script: ScriptStep[] = [...first, { do: "print", text: "ready\n" }, { do: "sleep", ms: 600_000 }];
  const spec = scriptedLaunch(script, launcher().surroundings, { image: agent.image, command: SCRIPTED_COMMAND });
  const log = () => readFileSync(spec.directory.log, "utf8");
  const trainer = await launcher().launch(spec);
  await eventually(() => (log().includes("ready") ? true : undefined), 60_000);
  return { spec, log, trainer };
}

describe.skipIf(!there)("the engine", { timeout: 180_000 }, () => {
  beforeAll(async () => {
    engine = ownEngine();
    await engine.start();
    await engine.load(await scriptedImage());
    agent = await startTestAgent({}, engine.socket);
  }, 240_000);
  afterAll(async () => {
    removeLaunchFolders();
    await agent?.stop();
    await engine?.remove();
  }, 120_000);

  it("is stopped and started: the trainer was asked to end, its exit and its last words are told", async () => {
    const { log, trainer } = await running();
    const waiting = launcher().wait(trainer);
    await engine.stop();
    await engine.start();
    expect(await waiting).toMatchObject({ code: 20 });
    expect(log()).toContain('"type":"stopped"');
    await launcher().remove(trainer);
  });

  it("is away for a while when a trainer is to be launched: that waits, and says what for", async () => {
    await engine.stop();
    const waited: string[] = [];
    const spec = scriptedLaunch([{ do: "exit", code: 0 }], launcher().surroundings, {
      ...{ image: agent.image, command: SCRIPTED_COMMAND },
      onWaiting: ({ message }) => void waited.push(message),
    });
    const launching = launcher().launch(spec);
    await eventually(() => (waited.length > 0 ? true : undefined));
    await engine.start();
    const trainer = await launching;
    expect(waited[0]).toBe("the Docker engine does not answer");
    expect(await launcher().wait(trainer)).toMatchObject({ code: 0 });
    await launcher().remove(trainer);
  });
});
