/** What `trainers/<framework>/trainer.json` says must be run, and in which image. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JobKind } from "@vision-platform/contracts/job-state";
import { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { LaunchError } from "./launcher.ts";

export interface TrainerFolders {
  FRAMEWORK: string;
  TRAINERS_DIR: string;
  /** Where trainers run as processes: the folder of their environments. */
  TRAINER_ENVS_DIR?: string | undefined;
}

/** Every member throws LaunchError when the manifest is missing or wrong. */
export interface TrainerProgram {
  /** As the manifest says it: where `python` is, the launcher knows. */
  commandFor(kind: JobKind): readonly string[];
  /** Complete reference, with registry and tag. */
  image(): string;
  /** False for a framework that says it makes no use of GPUs. */
  usesGpus(): boolean;
  /** Bytes of /dev/shm that the trainer asks for; 0 when it asks for none. */
  shmBytes(): number;
}

function readManifest(file: string): TrainerManifest {
  try {
    return TrainerManifest.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new LaunchError("LAUNCH_FAILED", `${file} is missing or wrong: ${String(cause).slice(0, 500)}`, cause);
  }
}

/** The manifest is read once: it belongs to the installed version of the trainer. */
export function createTrainerProgram(
  config: TrainerFolders & { IMAGE_REGISTRY: string; IMAGE_TAG: string },
): TrainerProgram {
  let read: TrainerManifest | undefined;
  function manifest(): TrainerManifest {
    read ??= readManifest(join(config.TRAINERS_DIR, config.FRAMEWORK, "trainer.json"));
    return read;
  }
  return {
    commandFor(kind) {
      const declared = manifest().kinds[kind]?.command;
      if (declared) return declared;
      throw new LaunchError("BAD_CONFIG", `the trainer ${config.FRAMEWORK} does not do jobs of kind ${kind}`);
    },
    image: () => `${config.IMAGE_REGISTRY}${manifest().image}:${config.IMAGE_TAG}`,
    usesGpus: () => manifest().resources?.gpu !== "none",
    shmBytes: () => (manifest().resources?.shm_mb ?? 0) * 1_048_576,
  };
}
