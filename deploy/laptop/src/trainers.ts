import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Settings } from "./config.ts";
import { ROOT } from "./paths.ts";

const manifest = z.object({
  framework: z.string().regex(/^[a-z][a-z0-9_]*$/),
  title: z.string(),
  enabled: z.boolean(),
  notice: z.string().optional(),
  listed: z.boolean().default(true),
});

/** A framework of this checkout: a folder under trainers/ with a trainer.json. Adding a folder adds a framework. */
export type Trainer = z.infer<typeof manifest> & { dir: string };

type Asked = Pick<Settings, "ENABLED_FRAMEWORKS">;

/**
 * Every framework in the order of the folders; `enabled` is what its manifest and ENABLED_FRAMEWORKS come to.
 * @throws Error for a manifest that is wrong, or a name in ENABLED_FRAMEWORKS that is no framework's.
 */
export function allTrainers(settings: Asked, root: string = ROOT): Trainer[] {
  const asked = (settings.ENABLED_FRAMEWORKS ?? "").split(",").flatMap((name) => name.trim() || []);
  const trainers = folders(root).flatMap((dir) => readTrainer(dir) ?? []);
  const known = trainers.map((trainer) => trainer.framework);
  const unknown = asked.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(
      `ENABLED_FRAMEWORKS: there is no framework ${unknown.join(", ")}; there are ${known.join(", ") || "none"}`,
    );
  }
  return trainers.map((trainer) => ({ ...trainer, enabled: trainer.enabled || asked.includes(trainer.framework) }));
}

/** The frameworks that `./vp up` installs and starts a worker for. */
export function enabledTrainers(settings: Asked, root: string = ROOT): Trainer[] {
  return allTrainers(settings, root).filter((trainer) => trainer.enabled);
}

/** Those that are off, without the ones for tests and authors: why, and what turns them on. */
export function offTrainers(settings: Asked, root: string = ROOT): { framework: string; why: string }[] {
  return allTrainers(settings, root)
    .filter((trainer) => !trainer.enabled && trainer.listed)
    .map(({ framework, notice }) => ({
      framework,
      why: `off${notice === undefined ? "" : `: ${notice}`} (ENABLED_FRAMEWORKS=${framework} ./vp up turns it on)`,
    }));
}

function readTrainer(dir: string): Trainer | undefined {
  const file = join(dir, "trainer.json");
  if (!existsSync(file)) return undefined;
  const parsed = manifest.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (parsed.success) return { ...parsed.data, dir };
  const issue = parsed.error.issues[0];
  throw new Error(`${file}: ${issue?.path.join(".")}: ${issue?.message}`);
}

function folders(root: string): string[] {
  const trainers = join(root, "trainers");
  if (!existsSync(trainers)) return [];
  return readdirSync(trainers)
    .sort()
    .map((name) => join(trainers, name));
}

/** Every Python project under trainers/: the frameworks and the kit they share. */
export function pythonProjects(root: string = ROOT): string[] {
  return folders(root).filter(isPythonProject);
}

/** False for a trainer in another language, or one that any Python runs: it has no environment to install. */
export function isPythonProject(dir: string): boolean {
  return existsSync(join(dir, "pyproject.toml"));
}
