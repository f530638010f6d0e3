import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { wholeEnvironment } from "./config.ts";
import { ROOT } from "./paths.ts";

/** What one check or one set of tests came to; `failures` names each test that failed, with the reason's first line. */
export type SuiteResult = {
  name: string;
  passed: number;
  failed: number;
  skipped: number;
  seconds: number;
  failures?: string[];
};

/** Runs one command of a suite; gives back its exit code (a signal or a failed start count as 1). */
export type Run = (
  command: string,
  args: string[],
  options: { cwd: string; env?: Record<string, string> },
) => Promise<number>;

/**
 * How commands are run: with their output on this terminal or, for --json, on stderr so that stdout stays NDJSON.
 */
export function commandRunner(json: boolean): Run {
  return (command, args, options) =>
    new Promise((done) => {
      const child = spawn(command, args, {
        cwd: options.cwd,
        env: { ...toolEnvironment(), ...options.env },
        stdio: ["ignore", json ? process.stderr : "inherit", "inherit"],
      });
      child.once("error", (error) => {
        process.stderr.write(`${command} cannot be started: ${error.message}\n`);
        done(1);
      });
      child.once("exit", (code) => done(code ?? 1));
    });
}

/** The same, but each command's output comes at once when it has ended: for what runs beside something else. */
export function holdingRunner(json: boolean): Run {
  return (command, args, options) =>
    new Promise((done) => {
      const held: Buffer[] = [];
      const child = spawn(command, args, {
        cwd: options.cwd,
        env: { ...toolEnvironment(), ...options.env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => held.push(chunk));
      child.once("error", (error) => held.push(Buffer.from(`${command} cannot be started: ${error.message}\n`)));
      child.once("close", (code) => {
        (json ? process.stderr : process.stdout).write(Buffer.concat(held));
        done(code ?? 1);
      });
    });
}

/** A person's own environment, in which `node` and the tools of npm are those of this checkout. */
export function toolEnvironment(): Record<string, string> {
  const env = wholeEnvironment();
  const path = [dirname(process.execPath), join(ROOT, "node_modules/.bin"), env.PATH ?? ""].join(delimiter);
  return { ...env, PATH: path };
}

/** Announces a suite, runs it, tells what it came to. A suite that throws counts as one failure. */
export async function runSuite(
  name: string,
  json: boolean,
  work: () => Promise<Omit<SuiteResult, "name" | "seconds">>,
): Promise<SuiteResult> {
  if (!json) process.stdout.write(`\n— ${name}\n`);
  const began = Date.now();
  const counts = await work().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    return { passed: 0, failed: 1, skipped: 0 };
  });
  const result = { name, ...counts, seconds: Math.round((Date.now() - began) / 100) / 10 };
  if (json) process.stdout.write(`${JSON.stringify({ event: "suite", ...result })}\n`);
  return result;
}

/** Prints the table, every failed test and, as the very last line, `N passed, N failed`; gives back the exit code. */
export function sumUp(results: SuiteResult[], json: boolean): number {
  const sum = (key: "passed" | "failed" | "skipped") => results.reduce((total, result) => total + result[key], 0);
  const [passed, failed, skipped] = [sum("passed"), sum("failed"), sum("skipped")];
  if (json) {
    process.stdout.write(`${JSON.stringify({ event: "result", passed, failed, skipped })}\n`);
  } else {
    const width = Math.max(...results.map((result) => result.name.length));
    const lines = results.map((result) => {
      const counts = `${String(result.passed).padStart(5)} passed ${String(result.failed).padStart(4)} failed`;
      return `${result.failed > 0 ? "✗" : "✓"} ${result.name.padEnd(width)} ${counts} ${String(result.seconds).padStart(7)} s`;
    });
    process.stdout.write(`\n${lines.join("\n")}\n\n`);
    // Their output may be far above, and cut off where only the end of a log is kept.
    for (const { name, failures = [] } of results)
      for (const failure of failures) process.stdout.write(`✗ ${name}: ${failure}\n`);
    process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
  }
  return failed > 0 || passed === 0 ? 1 : 0;
}
