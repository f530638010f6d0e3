/** What `./vp conformance` was given: a trainer's folder, or an image that holds one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { containerHousing, docker } from "./runs/container-housing.ts";
import type { Housing } from "./runs/housing.ts";
import { processHousing } from "./runs/process-housing.ts";
import { makeFolder } from "./runs/sandbox.ts";
import { readTrainerFolder, type TrainerFolder, Untestable } from "./trainer-folder.ts";

export interface Testable {
  trainer: TrainerFolder;
  openHousing(): Housing;
}

const FRAMEWORK_LABEL = "vision-platform.framework";
/** As deploy/images/Dockerfile lays it out. */
const TRAINERS_IN_IMAGE = "/opt/vision-platform/trainers";
const PROGRAMS_IN_IMAGE = "/opt/trainer/bin";

/** Throws Untestable when it is neither, or lacks what a test needs. */
export function readTrainer(given: string): Testable {
  if (given === "" || existsSync(given) || /^[.~]?\//.test(given)) {
    return { trainer: readTrainerFolder(given), openHousing: processHousing };
  }
  return { trainer: trainerOfImage(given), openHousing: () => containerHousing(given) };
}

function trainerOfImage(image: string): TrainerFolder {
  const framework = frameworkOf(image);
  const folder = makeFolder("image");
  const container = docker("create", image);
  try {
    docker("cp", `${container}:${TRAINERS_IN_IMAGE}/${framework}`, folder);
  } catch (error) {
    throw new Untestable(`${image} holds no ${TRAINERS_IN_IMAGE}/${framework}: ${String(error)}`);
  } finally {
    docker("rm", container);
  }
  const read = readTrainerFolder(join(folder, framework));
  return {
    ...read,
    bin: PROGRAMS_IN_IMAGE,
    command: (kind) => read.manifest.kinds[kind]?.command ?? null,
    install: async () => undefined,
  };
}

function frameworkOf(image: string): string {
  try {
    const framework = docker("image", "inspect", "--format", `{{index .Config.Labels "${FRAMEWORK_LABEL}"}}`, image);
    if (framework !== "" && framework !== "<no value>") return framework;
  } catch (error) {
    throw new Untestable(
      `${image} is no folder here, and no image: name a trainer's folder, or build the image (${String(error)})`,
    );
  }
  throw new Untestable(`${image} has no label ${FRAMEWORK_LABEL}: it is no trainer's image`);
}
