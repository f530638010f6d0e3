/** A docker agent as a platform has it, a process of its own, with a platform instance that only this test uses. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type Docker from "dockerode";
import { wholeEnvironment } from "../../../testing/config.ts";
import { SCRIPTED_COMMAND, scriptedImage } from "../../../testing/scripted-image.ts";
import { writeTestTrainers } from "../../../testing/test-trainers.ts";
import { connectEngine } from "../agent/engine.ts";

const MAIN = join(import.meta.dirname, "../agent/main.ts");
const ENGINE_SOCKET = "/var/run/docker.sock";

export interface TestAgent {
  socket: string;
  instance: string;
  /** Of the framework `scripted`. */
  image: string;
  trainersDir: string;
  /** The engine itself, to look at what the agent made. */
  engine: Docker;
  /** What a launcher needs to know of it. */
  launcherSettings: { FRAMEWORK: string; TRAINERS_DIR: string; DOCKER_AGENT_SOCKET: string };
  /** What a worker needs to know of it. */
  workerSettings: Record<string, string>;
  /** Ends the process and starts it again with other settings. */
  restart(settings?: Record<string, string>): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  logged(): string;
  /** What a test that failed may have left. */
  removeContainers(): Promise<void>;
  /** Takes away everything of this instance. */
  stop(): Promise<void>;
}

async function removeContainers(engine: Docker, instance: string): Promise<void> {
  const filters = { label: [`vision-platform.instance=${instance}`] };
  for (const each of await engine.listContainers({ all: true, filters })) {
    // 404, 409: it is gone, or about to be.
    await engine
      .getContainer(each.Id)
      .remove({ force: true, v: true })
      .catch(() => undefined);
  }
}

async function removeAll(engine: Docker, instance: string): Promise<void> {
  const filters = { label: [`vision-platform.instance=${instance}`] };
  await removeContainers(engine, instance);
  for (const each of await engine.listNetworks({ filters })) await engine.getNetwork(each.Id).remove();
  await engine
    .getVolume(`vision-platform-${instance}-cache`)
    .remove()
    .catch(() => undefined);
}

/** Needs an engine and the worker's image. Stop it in `afterAll`. */
export async function startTestAgent(
  given: Record<string, string> = {},
  engineSocket: string = ENGINE_SOCKET,
): Promise<TestAgent> {
  const folder = mkdtempSync(join(tmpdir(), "vp-agent-"));
  const instance = `test-${randomBytes(4).toString("hex")}`;
  const trainersDir = join(folder, "trainers");
  writeTestTrainers(trainersDir, SCRIPTED_COMMAND);
  const image = await scriptedImage();
  const IMAGE_TAG = image.split(":").at(-1) ?? "";
  const socket = join(folder, "agent.sock");
  const settings = {
    DOCKER_AGENT_SOCKET: socket,
    DOCKER_HOST: `unix://${engineSocket}`,
    PLATFORM_INSTANCE: instance,
    TRAINERS_DIR: trainersDir,
    IMAGE_TAG,
    MIN_FREE_BYTES: "0",
    ...given,
  };
  const engine = connectEngine(engineSocket);
  const lines: string[] = [];
  let child: ReturnType<typeof launch> | undefined;

  function launch(more: Record<string, string>) {
    const { PATH = "", HOME = "" } = wholeEnvironment();
    const env = { PATH, HOME, ...settings, ...more };
    return spawn(process.execPath, [MAIN], { env, stdio: ["ignore", "pipe", "inherit"] });
  }

  async function start(more: Record<string, string>): Promise<void> {
    const started = launch(more);
    child = started;
    const ready = new Promise<void>((resolve, reject) => {
      createInterface({ input: started.stdout }).on("line", (line) => {
        lines.push(line);
        if (line.includes("docker agent takes launches")) resolve();
      });
      started.once("exit", () => reject(new Error(`the docker agent ended at once:\n${lines.join("\n")}`)));
    });
    await ready;
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  await start({}).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    ...{ socket, instance, image, trainersDir, engine },
    launcherSettings: { FRAMEWORK: "scripted", TRAINERS_DIR: trainersDir, DOCKER_AGENT_SOCKET: socket },
    workerSettings: { DOCKER_AGENT_SOCKET: socket, IMAGE_TAG, TRAINERS_DIR: trainersDir },
    async restart(more = {}) {
      await end("SIGTERM");
      await start(more);
    },
    removeContainers: () => removeContainers(engine, instance),
    kill: (signal) => void child?.kill(signal),
    logged: () => lines.join("\n"),
    async stop() {
      await end("SIGTERM");
      await removeAll(engine, instance);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Whether a Docker engine answers here; tests that need one are skipped otherwise. */
export async function engineAnswers(): Promise<boolean> {
  try {
    await connectEngine(ENGINE_SOCKET).ping();
    return true;
  } catch {
    process.stderr.write(`no Docker engine answers at ${ENGINE_SOCKET}: tests with containers are skipped\n`);
    return false;
  }
}
