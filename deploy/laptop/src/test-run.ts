import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { installPython, runChecks } from "./check.ts";
import { inParallel } from "./in-parallel.ts";
import { ROOT } from "./paths.ts";
import { commandRunner, holdingRunner, runSuite, type SuiteResult, sumUp } from "./suite.ts";
import { type Context, type Counts, pytest, vitest } from "./test-programs.ts";
import { startTestServices } from "./test-services.ts";
import { pythonProjects } from "./trainers.ts";

/** What to run; everything when nothing is asked for. */
type Asked = { path: string | null; allModels: boolean };

/**
 * `./vp test`: the checks, the vitest tests, the pytest tests of each trainer, and the end-to-end tests, all with one
 * real Postgres, Redis and S3. With a path: that test file alone; with allModels: what is too big for every day.
 * @returns the exit code; non-zero when anything failed, crashed or ran no test.
 */
export async function testRun({ path, allModels }: Asked, json: boolean): Promise<number> {
  const one = (suites: Suite[]): Stage[] => [{ lanes: 1, suites }];
  const stages = path ? one([oneFile(path)]) : allModels ? one(bigModels()) : allSuites();
  const results: SuiteResult[] = [];
  if (path || allModels) await installPython(json);
  else results.push(...(await runChecks(json)));
  const reports = mkdtempSync(join(tmpdir(), "vp-reports-"));
  const servers = await startTestServices();
  try {
    for (const stage of stages) results.push(...(await runStage(stage, { env: servers.env, reports }, json)));
  } finally {
    await servers.stop();
    rmSync(reports, { recursive: true, force: true });
  }
  return sumUp(results, json);
}

type Suite = [string, (context: Context) => Promise<Counts>];
/** Suites of which so many run side by side. */
type Stage = { lanes: number; suites: Suite[] };

async function runStage({ lanes, suites }: Stage, about: Omit<Context, "run">, json: boolean): Promise<SuiteResult[]> {
  const context = { ...about, run: lanes > 1 ? holdingRunner(json) : commandRunner(json) };
  const results: SuiteResult[] = [];
  await inParallel([...suites.entries()], lanes, async ([place, [name, work]]) => {
    results[place] = await runSuite(name, json, () => work(context));
  });
  return results;
}

function allSuites(): Stage[] {
  const trainers = pythonProjects().filter((dir) => existsSync(join(dir, "tests")));
  const containers: Suite = [
    "containers",
    async (context) => (await import("./test-containers.ts")).containerTests(context),
  ];
  const pytests = trainers.map((dir): Suite => [`pytest ${basename(dir)}`, (context) => pytest(context, dir, [])]);
  return [
    { lanes: 1, suites: [["vitest", (context) => vitest(context, ["--project", "unit"])]] },
    // Containers mostly wait for their engine, and a trainer's tests keep one core busy.
    { lanes: 2, suites: [containers, ...pytests] },
    { lanes: 1, suites: [["end to end", (context) => vitest(context, ["--project", "e2e"])]] },
  ];
}

/** The tests that a trainer marks `all_models`: its big models, which the daily run leaves out. */
function bigModels(): Suite[] {
  return pythonProjects()
    .filter((dir) => readFileSync(join(dir, "pyproject.toml"), "utf8").includes("all_models"))
    .map((dir) => [
      `pytest ${basename(dir)}: all models`,
      (context) => pytest(context, dir, ["-m", "all_models", "-o", "addopts="]),
    ]);
}

function oneFile(path: string): Suite {
  const file = resolve(path);
  if (!existsSync(file)) throw new Error(`there is no ${path}`);
  if (!file.endsWith(".py")) return [path, (context) => vitest(context, [file])];
  let dir = dirname(file);
  while (dir !== ROOT && !existsSync(join(dir, "pyproject.toml"))) {
    if (dir === "/") break;
    dir = dirname(dir);
  }
  if (!pythonProjects().includes(dir)) throw new Error(`${path} belongs to no Python project under trainers/`);
  return [path, (context) => pytest(context, dir, [file])];
}
