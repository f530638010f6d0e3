import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { installPython, runChecks } from "./check.ts";
import { inParallel } from "./in-parallel.ts";
import { ROOT } from "./paths.ts";
import { trainerEnv } from "./python-env.ts";
import { commandRunner, holdingRunner, type Run, runSuite, type SuiteResult, sumUp } from "./suite.ts";
import { startTestServices, type TestEnvironment } from "./test-services.ts";
import { pythonProjects } from "./trainers.ts";

export type Counts = { passed: number; failed: number; skipped: number };
export type Context = { run: Run; env: TestEnvironment & Record<string, string>; reports: string };

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

const vitestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })),
});

/** Runs vitest with these arguments, and counts by its own report. */
export async function vitest({ run, env, reports }: Context, args: string[]): Promise<Counts> {
  const report = join(reports, `vitest-${Date.now()}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const main = join(ROOT, "node_modules/vitest/vitest.mjs");
  const code = await run(process.execPath, [main, "run", ...args, ...reporters], { cwd: ROOT, env });
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const told = vitestReport.parse(JSON.parse(readFileSync(report, "utf8")));
  // A file that fails before its first test has no failed test to count.
  const broken = told.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  return honest(code, {
    passed: told.numPassedTests,
    failed: told.numFailedTests + broken.length,
    skipped: told.numPendingTests + told.numTodoTests,
  });
}

async function pytest({ run, env, reports }: Context, dir: string, args: string[]): Promise<Counts> {
  const report = join(reports, `pytest-${basename(dir)}.xml`);
  const python = join(trainerEnv(dir).path, "bin/python");
  const code = await run(python, ["-m", "pytest", `--junitxml=${report}`, ...args], { cwd: dir, env });
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
  const suite = /<testsuite [^>]*>/.exec(readFileSync(report, "utf8"))?.[0] ?? "";
  const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const [failed, skipped] = [number("failures") + number("errors"), number("skipped")];
  return honest(code, { passed: Math.max(0, number("tests") - failed - skipped), failed, skipped });
}

/** A run that ended badly without a failed test, or met no test at all, is a failure all the same. */
function honest(code: number, counts: Counts): Counts {
  const ranNothing = counts.passed + counts.failed + counts.skipped === 0;
  const failed = counts.failed === 0 && (code !== 0 || ranNothing) ? 1 : counts.failed;
  return { ...counts, failed };
}
