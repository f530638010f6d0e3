/** What must be in a Python image and what must not, told by the manifests and locks of all frameworks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Image } from "./images-plan.ts";
import { ROOT } from "./paths.ts";

export type Isolation = {
  /** Modules that the image must import: those that its manifest's commands run. */
  own: string[];
  /** Packages that its lock alone has. Those that are modules of the same name must be imported too. */
  ownPackages: string[];
  /** Modules of the other frameworks' commands. */
  foreign: string[];
  /** Packages that only other frameworks' locks have. */
  foreignPackages: string[];
};

const manifest = z.object({ kinds: z.record(z.string(), z.object({ command: z.array(z.string()).min(1) })) });

/**
 * @param all every image there is.
 * @param root the checkout with the manifests and locks.
 */
export function isolationOf(image: Image, all: Image[], root: string = ROOT): Isolation {
  const frameworks = all.filter((one) => one.target === "trainer");
  const others = frameworks.filter((one) => one.framework !== image.framework);
  const locked = packagesOf(image, root);
  const elsewhere = new Set(others.flatMap((one) => [...packagesOf(one, root)]));
  return {
    own: image.framework === undefined ? [] : commandModules(image, root),
    ownPackages: image.framework === undefined ? [] : [...locked].filter((name) => !elsewhere.has(name)),
    foreign: others.flatMap((one) => commandModules(one, root)),
    foreignPackages: [...elsewhere].filter((name) => !locked.has(name)),
  };
}

/** The locks that an image is made of, relative to the checkout. */
export function locksOf(image: Image): string[] {
  const { FRAMEWORK, LOCK } = image.args;
  if (FRAMEWORK !== undefined) return [`trainers/${FRAMEWORK}/${LOCK}`];
  const sdk = "trainers/sdk/requirements.lock";
  return image.name === "torch" ? [sdk, "deploy/images/torch.lock"] : [sdk];
}

/** The module that follows -m: `python -m timm_trainer`. */
function commandModules(image: Image, root: string): string[] {
  const file = join(root, "trainers", image.args.FRAMEWORK ?? "", "trainer.json");
  const { kinds } = manifest.parse(JSON.parse(readFileSync(file, "utf8")));
  const modules = Object.values(kinds).flatMap(({ command }) =>
    command.filter((_word, index) => command[index - 1] === "-m"),
  );
  return [...new Set(modules)];
}

/** The names in its locks, as the metadata of packages spells them. */
function packagesOf(image: Image, root: string): Set<string> {
  const text = locksOf(image).map((lock) => readFileSync(join(root, lock), "utf8"));
  const names = [...text.join("\n").matchAll(/^([A-Za-z0-9][\w.-]*)\s*==/gm)].map((match) => match[1] ?? "");
  return new Set(names.map((name) => name.toLowerCase().replace(/[-_.]+/g, "-")));
}
