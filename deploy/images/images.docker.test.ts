/** A short look at the small images; `./vp images test` looks at all of them. */
import { imageSettings } from "@vision-platform/laptop/config";
import { buildImages } from "@vision-platform/laptop/images-build";
import { engineAnswers } from "@vision-platform/laptop/images-docker";
import { allImages, chosenImages } from "@vision-platform/laptop/images-plan";
import { testImage } from "@vision-platform/laptop/images-test";
import { createProgress } from "@vision-platform/laptop/progress";
import { beforeAll, describe, expect, it } from "vitest";

const names = ["base", "stub", "dataset", "gateway", "worker", "notifier"];
const answers = await engineAnswers();
if (!answers) process.stderr.write("skipped: no Docker engine answers, so no image is built and tested\n");

describe.skipIf(!answers)("images", () => {
  const settings = imageSettings();

  beforeAll(async () => {
    await buildImages(chosenImages(names), { variant: "cuda", push: false, settings }, createProgress("silent", 1));
  }, 600_000);

  it.each(chosenImages(names).map((image) => [image.name, image] as const))(
    "%s is what it says, and nothing else",
    async (_name, image) => {
      const findings = await testImage(image, allImages(), settings);
      expect(findings.length).toBeGreaterThan(10);
      expect(findings.filter(({ problem }) => problem !== null)).toEqual([]);
    },
    180_000,
  );
});
