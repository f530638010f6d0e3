import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { ROOT } from "./paths.ts";

const manifest = z.object({
  framework: z.string().regex(/^[a-z][a-z0-9-]*$/),
  title: z.string(),
  enabled: z.boolean(),
});

/** A framework that this checkout can train with: a folder under trainers/ with a trainer.json. */
export type Trainer = { framework: string; title: string; dir: string };

/** The enabled frameworks, in the order of their names. Adding a folder adds a framework; nothing here changes. */
export function enabledTrainers(root: string = ROOT): Trainer[] {
  return pythonProjects(root).flatMap((dir) => {
    const file = join(dir, "trainer.json");
    if (!existsSync(file)) return [];
    const parsed = manifest.safeParse(JSON.parse(readFileSync(file, "utf8")));
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new Error(`${file}: ${issue?.path.join(".")}: ${issue?.message}`);
    }
    return parsed.data.enabled ? [{ framework: parsed.data.framework, title: parsed.data.title, dir }] : [];
  });
}

/** Every Python project under trainers/: the frameworks and the kit they share. */
export function pythonProjects(root: string = ROOT): string[] {
  const trainers = join(root, "trainers");
  if (!existsSync(trainers)) return [];
  return readdirSync(trainers)
    .sort()
    .map((name) => join(trainers, name))
    .filter((dir) => existsSync(join(dir, "pyproject.toml")));
}
