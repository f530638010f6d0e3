/** `./vp images <action> [name…]`. */
import { imageSettings } from "./config.ts";
import { bakeFile, buildImages, reference, VARIANTS, type Variant } from "./images-build.ts";
import { allImages, chosenImages, type Image } from "./images-plan.ts";
import { ROOT } from "./paths.ts";
import { createProgress, progressMode } from "./progress.ts";

type Options = { json?: boolean; variant?: string; push?: boolean; pull?: boolean; output?: string };

const ACTIONS = ["build", "test", "report", "sbom", "plan"] as const;

/**
 * Runs one action on the images of these names; on all usual ones without names.
 * @returns the exit code: 0 done, 1 something is wrong with an image, 3 it could not be found out (sbom).
 * @throws Error that lists what there is, for an unknown action, name or variant.
 */
export async function images(action: string, names: (string | undefined)[], options: Options): Promise<number> {
  const chosen = chosenImages(names.filter((name) => name !== undefined));
  switch (ACTIONS.find((known) => known === action)) {
    case "build":
      return build(chosen, options);
    case "test":
      return test(chosen, options.json ?? false);
    case "report":
      return (await import("./images-report.ts")).report(chosen, imageSettings(), options);
    case "sbom":
      return (await import("./images-sbom.ts")).sbom(chosen, imageSettings(), options);
    case "plan":
      return plan(chosen, options);
    default:
      throw new Error(`there is no "images ${action}"; there are ${ACTIONS.join(", ")}`);
  }
}

async function build(chosen: Image[], options: Options): Promise<number> {
  const { json = false, push = false } = options;
  const settings = imageSettings();
  const progress = createProgress(progressMode(json), 1);
  let seconds: number;
  try {
    seconds = await buildImages(chosen, { variant: variantOf(options), push, settings }, progress);
  } finally {
    progress.end();
  }
  const built = chosen.map((image) => reference(image, settings));
  if (json) say(JSON.stringify({ event: "images_built", images: built, seconds }));
  else for (const name of built) say(name);
  return 0;
}

async function test(chosen: Image[], json: boolean): Promise<number> {
  const { testImage } = await import("./images-test.ts");
  const settings = imageSettings();
  const all = allImages();
  let [passed, failed] = [0, 0];
  for (const image of chosen) {
    const findings = await testImage(image, all, settings);
    const wrong = findings.filter(({ problem }) => problem !== null);
    passed += findings.length - wrong.length;
    failed += wrong.length;
    for (const finding of json ? findings : wrong) {
      say(json ? JSON.stringify({ event: "image_check", ...finding }) : `  ${finding.check}: ${finding.problem}`);
    }
    if (!json)
      say(`${wrong.length === 0 ? "✔" : "✘"} ${image.name}: ${findings.length} checks, ${wrong.length} failed`);
  }
  say(json ? JSON.stringify({ event: "result", passed, failed }) : `${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function plan(chosen: Image[], options: Options): number {
  const stamp = { version: "", revision: "", source: "" };
  const settings = imageSettings();
  say(JSON.stringify(bakeFile(chosen, stamp, { variant: variantOf(options), settings, root: ROOT }), null, 2));
  return 0;
}

function variantOf({ variant = "cuda" }: Options): Variant {
  const known = VARIANTS.find((name) => name === variant);
  if (known === undefined) throw new Error(`there is no variant "${variant}"; there are ${VARIANTS.join(", ")}`);
  return known;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
