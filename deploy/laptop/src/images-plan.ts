/** Which container images there are: three services, two layers, and one for each folder under trainers/. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceHash } from "@vision-platform/common/trainer-source";
import { z } from "zod";
import { ROOT } from "./paths.ts";
import { allTrainers, isPythonProject } from "./trainers.ts";

const manifest = z.object({
  license: z.string(),
  listed: z.boolean().default(true),
  environment: z.object({
    lock: z.string(),
    torch: z.boolean().default(false),
    system_packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9.+-]*$/)).default([]),
  }),
});

/** One image: a target of deploy/images/Dockerfile and the arguments that make it what it is. */
export type Image = {
  /** What people call it: `timm`, `gateway`, `worker-timm`. */
  name: string;
  /** Without registry and tag. */
  repository: string;
  target: string;
  args: Record<string, string>;
  /** SPDX, as its label says. */
  license: string;
  /** Whose packages it holds; undefined for services and layers. */
  framework?: string;
  /** Built when no name is given. */
  usual: boolean;
};

const layers = [
  plain("base", { usual: true }),
  plain("torch", { usual: true, license: "BSD-3-Clause" }),
  plain("gateway", { usual: true }),
  plain("worker", { usual: true }),
  plain("notifier", { usual: true }),
];

function plain(name: string, rest: { usual: boolean; license?: string }): Image {
  return { name, repository: `vision-platform-${name}`, target: name, args: {}, license: "Apache-2.0", ...rest };
}

/**
 * Every image of a checkout; a framework's comes from its trainer.json alone.
 * @throws Error that names the file, and the field or the package, when a manifest or a lock does not fit.
 */
export function allImages(root: string = ROOT): Image[] {
  const trainers = allTrainers({ ENABLED_FRAMEWORKS: undefined }, root)
    .filter(({ dir }) => isPythonProject(dir))
    .map(({ dir, framework }) => frameworkImage(dir, framework, root));
  return [...layers, ...trainers, ...trainers.map(withWorker)];
}

/**
 * The images of these names; without names all that people use.
 * @throws Error that lists the names there are.
 */
export function chosenImages(names: readonly string[], root: string = ROOT): Image[] {
  const images = allImages(root);
  const unknown = names.filter((name) => !images.some((image) => image.name === name));
  if (unknown.length > 0) {
    const known = images.map((image) => image.name).join(", ");
    throw new Error(`there is no image ${unknown.join(", ")}; there are ${known}`);
  }
  return images.filter((image) => (names.length > 0 ? names.includes(image.name) : image.usual));
}

function frameworkImage(dir: string, framework: string, root: string): Image {
  const file = join(dir, "trainer.json");
  const parsed = manifest.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(`${file}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const { license, listed, environment } = parsed.data;
  const lock = join(dir, environment.lock);
  if (!existsSync(lock)) throw new Error(`${file}: environment.lock: there is no ${lock}`);
  if (environment.torch) checkTorch(lock, join(root, "deploy/images/torch.lock"));
  return {
    name: framework,
    repository: `vision-platform-${framework}`,
    target: "trainer",
    args: {
      FRAMEWORK: framework,
      LOCK: environment.lock,
      LICENSE: license,
      TRAINER_PARENT: environment.torch ? "torch-layers" : "python-layers",
      SYSTEM_PACKAGES: environment.system_packages.join(" "),
      SOURCE_HASH: sourceHash(join(root, "trainers"), framework) ?? "",
    },
    license,
    framework,
    usual: listed,
  };
}

/** A worker that starts its trainer as a subprocess, in one image: for hosts without a container engine. */
function withWorker(image: Image): Image {
  const name = `worker-${image.name}`;
  return { ...image, name, repository: `vision-platform-${name}`, target: "worker-with-trainer", usual: false };
}

/** Another version in the framework's lock would put a second torch on top of the shared one. */
function checkTorch(lock: string, torchLock: string): void {
  const wanted = requirements(lock);
  const differs = [...requirements(torchLock)].filter((line) => !wanted.has(line));
  if (differs.length === 0) return;
  throw new Error(
    `${lock} differs from the shared torch layer (${torchLock}) in ${differs.join(", ")}: ` +
      `lock it again with "uv pip compile -c deploy/images/torch.lock", or set environment.torch to false in trainer.json`,
  );
}

/** The lines of a lock that name a package. */
function requirements(lock: string): Set<string> {
  const lines = readFileSync(lock, "utf8").split("\n");
  return new Set(lines.map((line) => line.replace(/\s*\\$/, "").trimEnd()).filter((line) => /^[a-z0-9]/i.test(line)));
}
