import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type EnvPlan, trainerEnv } from "./python-env.ts";
import { allTrainers, isPythonProject } from "./trainers.ts";

// What a trainer depends on by its own word, and the modules each of these brings; nothing of it is imported.
const LIST_MODULES = `
import importlib.metadata as metadata, json, re, sys, tomllib
name_of = lambda text: re.sub("[-_.]+", "-", re.match("[A-Za-z0-9._-]+", text)[0]).lower()
project = tomllib.load(open(sys.argv[1], "rb"))["project"]
modules = {}
for module, packages in metadata.packages_distributions().items():
    for package in packages:
        modules.setdefault(name_of(package), []).append(module)
wanted = [project["name"], *project.get("dependencies", [])]
print(json.dumps({name_of(package): modules.get(name_of(package), []) for package in wanted}))
`;
const FIND_MODULES = `
import importlib.util, json, sys
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is not None]))
`;

type Environment = { framework: string; plan: EnvPlan; locked: Set<string>; modules: Record<string, string[]> };

const trainers = allTrainers({}).filter(({ dir }) => isPythonProject(dir));
const environments = new Map<string, Environment>();
const run = promisify(execFile);

beforeAll(async () => {
  for (const { framework, dir } of trainers) {
    const plan = trainerEnv(dir);
    if (!existsSync(pythonOf(plan))) continue;
    const modules = z
      .record(z.string(), z.array(z.string()))
      .parse(await ask(plan, LIST_MODULES, [join(dir, "pyproject.toml")]));
    const locked = new Set(
      [...readFileSync(plan.lock, "utf8").matchAll(/^([\w.-]+)==/gm)].map(([, name]) => name ?? ""),
    );
    environments.set(framework, { framework, plan, locked, modules });
  }
});

test("every trainer's environment is installed", () => {
  const missing = trainers.map(({ framework }) => framework).filter((name) => !environments.has(name));
  expect(missing, "`./vp test` installs them all").toEqual([]);
});

test.each(trainers.map(({ framework }) => framework))("%s finds no other trainer's framework", async (framework) => {
  const here = environments.get(framework);
  if (here === undefined) return;
  const foreign = new Map(
    [...environments.values()]
      .filter((other) => other !== here)
      .flatMap((other) => ownModules(other, here).map((module) => [module, other.framework] as const)),
  );
  // Every other trainer has something of its own: at the least itself.
  expect(new Set(foreign.values()).size).toBe(environments.size - 1);
  const found = z.array(z.string()).parse(await ask(here.plan, FIND_MODULES, [...foreign.keys()]));
  expect(found.map((module) => `${module} of ${foreign.get(module)}`)).toEqual([]);
});

test("what the frameworks are is among what must not be found", () => {
  const between = (other: string, here: string) => {
    const [theirs, ours] = [environments.get(other), environments.get(here)];
    return theirs === undefined || ours === undefined ? [] : ownModules(theirs, ours);
  };
  expect(between("timm", "ultralytics")).toContain("timm");
  expect(between("ultralytics", "huggingface")).toContain("ultralytics");
  expect(between("huggingface", "timm")).toContain("transformers");
});

/** The modules that a trainer asked for and that the lock of another one does not give it. */
function ownModules(other: Environment, here: Environment): string[] {
  return Object.entries(other.modules).flatMap(([name, modules]) => (here.locked.has(name) ? [] : modules));
}

function pythonOf(plan: EnvPlan): string {
  return join(plan.path, "bin/python");
}

/** Isolated: neither this folder nor a variable of a person's adds to what the environment can import. */
async function ask(plan: EnvPlan, script: string, words: string[]): Promise<unknown> {
  const { stdout } = await run(pythonOf(plan), ["-I", "-c", script, ...words], { env: {}, timeout: 60_000 });
  return JSON.parse(stdout);
}
