/** vitest and pytest, counted by the reports that they write themselves. */
import { existsSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { XMLParser } from "fast-xml-parser";
import { z } from "zod";
import { ROOT } from "./paths.ts";
import { trainerEnv } from "./python-env.ts";
import type { Run, SuiteResult } from "./suite.ts";
import type { TestEnvironment } from "./test-services.ts";

export type Counts = Omit<SuiteResult, "name" | "seconds">;
/** Reports are written into the folder `reports`. */
export type Context = { run: Run; env: TestEnvironment & Record<string, string>; reports: string };

const NO_REPORT: Counts = { passed: 0, failed: 1, skipped: 0 };

const vitestReport = z.object({
  numPassedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string(),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
});

/** Runs vitest with these arguments. */
export async function vitest({ run, env, reports }: Context, args: string[]): Promise<Counts> {
  const report = join(reports, `vitest-${Date.now()}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const main = join(ROOT, "node_modules/vitest/vitest.mjs");
  const code = await run(process.execPath, [main, "run", ...args, ...reporters], { cwd: ROOT, env });
  if (!existsSync(report)) return NO_REPORT;
  const told = vitestReport.parse(JSON.parse(readFileSync(report, "utf8")));
  const failures = told.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(ROOT, name);
    // A file that fails before its first test has no failed test to tell of.
    if (status === "failed" && assertionResults.length === 0) return [failure(file, message)];
    return assertionResults
      .filter((test) => test.status === "failed")
      .map((test) => failure(`${file} › ${test.fullName}`, test.failureMessages?.[0]));
  });
  const skipped = told.numPendingTests + told.numTodoTests;
  return honest(code, { passed: told.numPassedTests, failed: failures.length, skipped, failures });
}

const reasons = z.array(z.object({ message: z.string() })).default([]);
const junitReport = z.object({
  testsuites: z.object({
    testsuite: z.object({
      skipped: z.coerce.number(),
      tests: z.coerce.number(),
      testcase: z
        .array(z.object({ classname: z.string(), name: z.string(), failure: reasons, error: reasons }))
        .default([]),
    }),
  }),
});
const junit = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "",
  parseAttributeValue: false,
  isArray: (name) => ["testcase", "failure", "error"].includes(name),
});

/** Runs the tests of a Python project in its own environment; `args` are those of pytest. */
export async function pytest({ run, env, reports }: Context, dir: string, args: string[]): Promise<Counts> {
  const report = join(reports, `pytest-${basename(dir)}.xml`);
  const python = join(trainerEnv(dir).path, "bin/python");
  const code = await run(python, ["-m", "pytest", `--junitxml=${report}`, ...args], {
    cwd: dir,
    // What the first import compiles, the next process need not: that is most of how long a framework takes to load.
    env: { ...env, PYTHONDONTWRITEBYTECODE: "" },
  });
  if (!existsSync(report)) return NO_REPORT;
  const { tests, skipped, testcase } = junitReport.parse(junit.parse(readFileSync(report, "utf8"))).testsuites
    .testsuite;
  const failures = testcase.flatMap(({ classname, name, failure: failed, error }) =>
    [...failed, ...error].map(({ message }) => failure(`${classname}::${name}`, message)),
  );
  const passed = Math.max(0, tests - failures.length - skipped);
  return honest(code, { passed, failed: failures.length, skipped, failures });
}

function failure(test: string, why = ""): string {
  return `${test} — ${why.trim().split(/\r?\n|&#10;/)[0]}`;
}

/** A run that ended badly without a failed test, or met no test at all, is a failure all the same. */
function honest(code: number, counts: Counts): Counts {
  const ranNothing = counts.passed + counts.failed + counts.skipped === 0;
  const failed = counts.failed === 0 && (code !== 0 || ranNothing) ? 1 : counts.failed;
  return { ...counts, failed };
}
