/** The images that may be launched: one for each framework of TRAINERS_DIR; and how they come to this engine. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { SOURCE_LABEL } from "@vision-platform/common/trainer-source";
import { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import type Docker from "dockerode";
import type { AgentConfig } from "./config.ts";
import { answered } from "./engine.ts";
import type { LaunchRequest } from "./protocol.ts";
import { notHere, pullRefusal } from "./pull-failure.ts";
import { createPullProgress } from "./pull-progress.ts";
import { AgentRefusal, engineStatus, isEngineAway } from "./refusals.ts";
import { watchSilence } from "./silence.ts";

/** A pull that brings nothing for so long is given up. */
const SILENCE_LIMIT_MS = 120_000;

type Waiting = (what: { message: string; pct: number | null }) => void;

export interface Images {
  /** Every framework with its reference; manifests that cannot be read are left out. */
  all(): { framework: string; reference: string }[];
  /** Image and command of a launch. Throws AgentRefusal `refused` unless both are the framework's own. */
  allowed(asked: Pick<LaunchRequest, "framework" | "kind" | "image" | "command">): {
    reference: string;
    command: string[];
  };
  /** `source`: the hash of the sources that the image says it was built from. */
  look(reference: string): Promise<{ present: boolean; source: string | null }>;
  /**
   * Resolves as `look` does, when the engine has it. Rejects with AgentRefusal (`image_missing`: asking again does not
   * help; `launch_failed`: it may), or when `signal` is aborted.
   */
  fetch(reference: string, signal: AbortSignal, waiting: Waiting): Promise<{ source: string | null }>;
}

function readManifest(trainersDir: string, framework: string): TrainerManifest | null {
  try {
    return TrainerManifest.parse(JSON.parse(readFileSync(join(trainersDir, framework, "trainer.json"), "utf8")));
  } catch {
    return null;
  }
}

export function createImages(engine: Docker, config: AgentConfig, silenceLimitMs = SILENCE_LIMIT_MS): Images {
  const referenceOf = (manifest: TrainerManifest) => `${config.IMAGE_REGISTRY}${manifest.image}:${config.IMAGE_TAG}`;
  const { IMAGE_PULL_USERNAME: username, IMAGE_PULL_PASSWORD: password } = config;
  const authconfig = username && password ? { username, password } : undefined;

  async function look(reference: string): Promise<{ present: boolean; source: string | null }> {
    try {
      const { Config } = await answered(engine.getImage(reference).inspect());
      return { present: true, source: Config.Labels?.[SOURCE_LABEL] || null };
    } catch (error) {
      if (engineStatus(error) === 404) return { present: false, source: null };
      throw error;
    }
  }

  async function pull(reference: string, signal: AbortSignal, waiting: Waiting): Promise<void> {
    waiting({ message: `the image ${reference} is pulled`, pct: null });
    const silence = watchSilence(silenceLimitMs);
    // Before the first byte of the answer dockerode ends the request by this signal, afterwards the stream is ours.
    const abortSignal = AbortSignal.any([signal, silence.signal]);
    const progress = createPullProgress();
    let stream: Readable | undefined;
    try {
      const pulling: Promise<unknown> = engine.pull(reference, { abortSignal, ...(authconfig ? { authconfig } : {}) });
      stream = addAbortSignal(abortSignal, (await pulling) as Readable);
      let rest = "";
      for await (const chunk of stream.setEncoding("utf8")) {
        silence.heard();
        const lines = `${rest}${chunk}`.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) progress.take(line);
        waiting({ message: `the image ${reference} is pulled`, pct: progress.pct() });
      }
      progress.take(rest);
    } catch (error) {
      silence.signal.throwIfAborted();
      throw error;
    } finally {
      silence.end();
      stream?.destroy();
    }
  }

  return {
    look,
    all() {
      const folders = readdirSync(config.TRAINERS_DIR, { withFileTypes: true }).filter((entry) => entry.isDirectory());
      return folders.flatMap(({ name }) => {
        const manifest = readManifest(config.TRAINERS_DIR, name);
        return manifest ? [{ framework: name, reference: referenceOf(manifest) }] : [];
      });
    },
    allowed({ framework, kind, image, command }) {
      const manifest = readManifest(config.TRAINERS_DIR, framework);
      if (manifest?.framework !== framework) {
        throw new AgentRefusal("refused", `there is no framework ${framework} in the agent's TRAINERS_DIR`);
      }
      const own = { reference: referenceOf(manifest), command: manifest.kinds[kind]?.command ?? [] };
      if (image !== own.reference) {
        const fix = "worker and agent need the same version, IMAGE_REGISTRY and IMAGE_TAG";
        throw new AgentRefusal(
          "refused",
          `the image ${image} is not ${framework}'s, which is ${own.reference}: ${fix}`,
        );
      }
      if (!isDeepStrictEqual(command, own.command)) {
        const said = own.command.length === 0 ? "none" : JSON.stringify(own.command);
        const message = `the command ${JSON.stringify(command)} is not ${framework}'s for ${kind}, which is ${said}`;
        throw new AgentRefusal("refused", message);
      }
      return own;
    },
    async fetch(reference, signal, waiting) {
      const policy = config.IMAGE_PULL;
      const before = await look(reference);
      if (policy !== "always" && before.present) return before;
      if (policy === "never") throw notHere(reference);
      try {
        await pull(reference, signal, waiting);
      } catch (error) {
        signal.throwIfAborted();
        if (isEngineAway(error)) throw error;
        throw pullRefusal(reference, error);
      }
      return await look(reference);
    },
  };
}
