import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { LogLine } from "./log-line.ts";

/** In a process of its own: the logger writes to the real standard output, in pieces. */
function linesOf(program: string): unknown[] {
  const setUp = `import { createLogger } from "${import.meta.dirname}/logger.ts";
    const logger = createLogger("gateway", "debug");`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", `${setUp}${program}; logger.flush();`]);
  return output
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

it("writes lines of the platform's one format, with the contract's words for levels", () => {
  const lines = linesOf(`
    for (const level of ["debug", "info", "warn", "error", "fatal"]) logger[level]({ job_id: 6 }, "said");
    logger.child({ trace_id: "${"1".repeat(32)}", attempt: 2 }).info("said");`);
  expect(lines.map((line) => LogLine.parse(line).level)).toEqual([
    "debug",
    "info",
    "warning",
    "error",
    "error",
    "info",
  ]);
  expect(lines.at(-1)).toMatchObject({ service: "gateway", message: "said", attempt: 2 });
});

it("shows an error as one text, with its causes and without its other fields", () => {
  const [line] = linesOf(`
    const cause = Object.assign(new Error(""), { code: "ECONNREFUSED" });
    const error = Object.assign(new Error("no answer", { cause }), { token: "hunter2", config: { key: "hunter2" } });
    logger.warn({ err: error }, "tried")`).map((each) => LogLine.parse(each));
  expect(line?.error).toMatch(/^Error: no answer\n +at [\s\S]*\ncaused by: Error[\s\S]*\[ECONNREFUSED\]$/);
  expect(JSON.stringify(line)).not.toContain("hunter2");
  expect(line).not.toHaveProperty("err");
});

it("cuts secrets out by name", () => {
  const [line] = linesOf(`logger.info({ token: "hunter2", body: { password: "hunter2" } }, "request")`);
  expect(JSON.stringify(line)).not.toContain("hunter2");
});
