import { imageSettings } from "./config.ts";
import { buildImages } from "./images-build.ts";
import { engineAnswers } from "./images-docker.ts";
import { chosenImages } from "./images-plan.ts";
import { createProgress } from "./progress.ts";
import { type Context, type Counts, vitest } from "./test-programs.ts";

/** What the tests run in containers: a trainer, and the script trainer's parent. Both are small. */
const IMAGES = ["worker", "stub"];

/**
 * The tests with real containers. Where no Docker engine answers they are counted as skipped; where one does, the images
 * they need are built first from this checkout, which takes seconds when nothing has changed.
 * @throws ToolError when an image cannot be built.
 */
export async function containerTests(context: Context): Promise<Counts> {
  if (await engineAnswers()) {
    const progress = createProgress("plain", 1);
    const options = { variant: "cuda" as const, push: false, settings: imageSettings() };
    await buildImages(chosenImages(IMAGES), options, progress).finally(() => progress.end());
  }
  return await vitest(context, ["--project", "docker"]);
}
