import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { ROOT } from "./paths.ts";
import { installEnvs } from "./prepare.ts";
import { createProgress, progressMode } from "./progress.ts";
import { allEnvs, trainerEnv } from "./python-env.ts";
import { commandRunner, type Run, runSuite, type SuiteResult, sumUp } from "./suite.ts";
import { pythonProjects } from "./trainers.ts";

/** One command that must end with 0. */
type Step = { name: string; command: string; args: string[]; cwd: string };

const packageFile = z.object({ scripts: z.record(z.string(), z.string()) });

/** `./vp check`: every check of the Node workspaces and of each Python project. Gives back the exit code. */
export async function check(json: boolean): Promise<number> {
  return sumUp(await runChecks(json), json);
}

/** Runs every check, also after one that failed, and counts each as one. */
export async function runChecks(json: boolean): Promise<SuiteResult[]> {
  await installPython(json);
  return runSteps([...rootSteps("check"), ...scriptChecks(), ...pythonProjects().flatMap(pythonChecks)], json);
}

/** `./vp fix`: repairs what tools can repair. Gives back the exit code. */
export async function fix(json: boolean): Promise<number> {
  await installPython(json);
  return sumUp(await runSteps([...rootSteps("fix"), ...pythonProjects().flatMap(pythonFixes)], json), json);
}

/** `./vp bench [name]`: runs the benchmarks. Gives back the exit code. */
export async function bench(name: string | null, json: boolean): Promise<number> {
  await installPython(json);
  const args = [join(ROOT, "bench/src/main.ts"), ...(name ? [name] : []), ...(json ? ["--json"] : [])];
  return commandRunner(false)(process.execPath, args, { cwd: ROOT });
}

/** Installs the environments of all Python projects, with progress. */
export async function installPython(json: boolean): Promise<void> {
  const plans = allEnvs();
  const progress = createProgress(progressMode(json), plans.length + 1);
  try {
    await installEnvs(plans, progress);
  } finally {
    progress.end();
  }
}

/** The commands of a root npm script, one step each: package.json stays the only list of them. */
function rootSteps(script: string): Step[] {
  const { scripts } = packageFile.parse(JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")));
  return (scripts[script] ?? "").split("&&").map((text) => {
    const line = text.trim();
    return { name: line, command: "/bin/sh", args: ["-c", line], cwd: ROOT };
  });
}

/** The Python that belongs to no project: examples for authors, and the scripts that make the demo's data. */
function scriptChecks(): Step[] {
  const python = join(trainerEnv(join(ROOT, "trainers/sdk")).path, "bin/python");
  return ["examples", "deploy/demo", "deploy/images"].map((folder) => ({
    name: `${folder}: ruff check`,
    command: python,
    args: ["-m", "ruff", "check", folder],
    cwd: ROOT,
  }));
}

function pythonChecks(dir: string): Step[] {
  return [
    pythonStep(dir, "ruff", ["check", "."]),
    pythonStep(dir, "ruff", ["format", "--check", "."]),
    pythonStep(dir, "mypy", []),
  ];
}

function pythonFixes(dir: string): Step[] {
  return [pythonStep(dir, "ruff", ["check", "--fix", "."]), pythonStep(dir, "ruff", ["format", "."])];
}

function pythonStep(dir: string, tool: string, args: string[]): Step {
  const name = `${basename(dir)}: ${[tool, ...args].join(" ")}`;
  return { name, command: join(trainerEnv(dir).path, "bin/python"), args: ["-m", tool, ...args], cwd: dir };
}

async function runSteps(steps: Step[], json: boolean): Promise<SuiteResult[]> {
  const run = commandRunner(json);
  const results: SuiteResult[] = [];
  for (const step of steps) results.push(await runSuite(step.name, json, () => runStep(step, run)));
  return results;
}

async function runStep(step: Step, run: Run): Promise<{ passed: number; failed: number; skipped: number }> {
  const ok = (await run(step.command, step.args, { cwd: step.cwd })) === 0;
  return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 };
}
