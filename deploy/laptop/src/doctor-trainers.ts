/** What doctor tells of trainers: how they are started here, and whether the images that run them are of this checkout. */
import { imageSettings, type Settings } from "./config.ts";
import type { Finding } from "./doctor.ts";
import { engineAnswers, imageSource } from "./engine.ts";
import { reference } from "./images-build.ts";
import { chosenImages } from "./images-plan.ts";
import { enabledTrainers, isPythonProject } from "./trainers.ts";

type Look = { framework: string; image: "of this checkout" | "of another state" | "not there" };

const name = "trainers";

/** Of every framework that `./vp up` starts a worker for, as far as it has an image. */
async function lookAtImages(settings: Settings): Promise<Look[]> {
  const trainers = enabledTrainers(settings).filter(({ dir }) => isPythonProject(dir));
  if (trainers.length === 0) return [];
  const images = chosenImages(trainers.map(({ framework }) => framework));
  return await Promise.all(
    images.map(async (image) => {
      const source = await imageSource(reference(image, imageSettings()));
      const same = source === image.args.SOURCE_HASH ? "of this checkout" : "of another state";
      return { framework: image.name, image: source === null ? "not there" : same };
    }),
  );
}

function whyProcess({ framework, image }: Look): string {
  if (image === "not there") return `${framework} (no image)`;
  return `${framework} (its image was built from another state of trainers/${framework}: ./vp images build ${framework})`;
}

function byThemselves(looks: Look[]): Finding {
  const inContainers = looks.filter(({ image }) => image === "of this checkout").map(({ framework }) => framework);
  const asProcesses = looks.filter(({ image }) => image !== "of this checkout").map(whyProcess);
  const parts = [
    ...(inContainers.length > 0 ? [`in containers ${inContainers.join(", ")}`] : []),
    ...(asProcesses.length > 0 ? [`as processes ${asProcesses.join(", ")}`] : []),
  ];
  return { name, state: "ok", found: `auto, and a Docker engine answers: ${parts.join("; ")}` };
}

function asAsked(looks: Look[], pulls: boolean): Finding {
  const wrong = looks.filter(({ image }) => image === "of another state" || (image === "not there" && !pulls));
  if (wrong.length === 0) return { name, state: "ok", found: "docker, as set; a Docker engine answers" };
  const said = wrong.map(({ framework, image }) => `${framework}'s image is ${image}`).join(", ");
  const repair = `./vp images build ${wrong.map(({ framework }) => framework).join(" ")}`;
  return { name, state: "missing", found: `docker, as set, but ${said}`, repair };
}

/** @throws Error when a manifest is wrong or the engine answers strangely. */
export async function trainersFound(settings: Settings): Promise<Finding> {
  const mode = settings.TRAINING_EXECUTION_MODE ?? "auto";
  if (mode !== "auto" && mode !== "docker") return { name, state: "ok", found: `${mode}, as set` };
  if (await engineAnswers()) {
    const looks = await lookAtImages(settings);
    return mode === "auto" ? byThemselves(looks) : asAsked(looks, Boolean(settings.IMAGE_REGISTRY));
  }
  if (mode === "auto")
    return { name, state: "ok", found: "as processes of this machine (auto: no Docker engine answers)" };
  const repair = "start Docker, or leave TRAINING_EXECUTION_MODE away";
  return { name, state: "missing", found: "TRAINING_EXECUTION_MODE=docker, but no Docker engine answers", repair };
}
