/** A docker agent beside a platform of a test, with a platform instance of its own. */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NODE_OPTIONS } from "@vision-platform/common/node-options";
import { CHECKOUT } from "./platform.ts";

const MAIN = join(CHECKOUT, "services/worker/src/launchers/docker/agent/main.ts");

function docker(...args: string[]): { ok: boolean; lines: string[] } {
  const { status, stdout } = spawnSync("docker", args, { encoding: "utf8" });
  return { ok: status === 0, lines: (stdout ?? "").split("\n").filter((line) => line !== "") };
}

/** Whether an engine answers that has all these images. */
export function imagesThere(images: string[]): boolean {
  return images.every((image) => docker("image", "inspect", image).ok);
}

export class DockerAgent {
  readonly instance = `e2e-${randomBytes(4).toString("hex")}`;
  readonly #folder = mkdtempSync(join(tmpdir(), "vp-e2e-agent-"));
  readonly socket = join(this.#folder, "agent.sock");
  #end: (() => Promise<void>) | undefined;

  /** Opens the relays of a platform that runs. Rejects when the agent ends instead of taking launches. */
  async start(relays: string): Promise<void> {
    const env = {
      PATH: process.env.PATH ?? "",
      DOCKER_AGENT_SOCKET: this.socket,
      PLATFORM_INSTANCE: this.instance,
      TRAINERS_DIR: join(CHECKOUT, "trainers"),
      RELAYS: relays,
      MIN_FREE_BYTES: "0",
    };
    const child = spawn(process.execPath, [...NODE_OPTIONS, MAIN], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    this.#end = async () => {
      child.kill("SIGTERM");
      await ended;
    };
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line.includes("docker agent takes launches")) resolve();
      });
      ended.then(() => reject(new Error("the docker agent ended at once")));
    });
  }

  /** Ids of all its containers, running or not. */
  containers(): string[] {
    return docker("ps", "--all", "--quiet", "--filter", `label=vision-platform.instance=${this.instance}`).lines;
  }

  /** Takes away everything of its instance. */
  async stop(): Promise<void> {
    await this.#end?.();
    for (const id of this.containers()) docker("rm", "--force", "--volumes", id);
    const networks = docker("network", "ls", "--quiet", "--filter", `label=vision-platform.instance=${this.instance}`);
    for (const id of networks.lines) docker("network", "rm", id);
    docker("volume", "rm", `vision-platform-${this.instance}-cache`);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
