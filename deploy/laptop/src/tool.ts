import { spawn } from "node:child_process";

/** A command that did not end with 0; the message holds the end of what it printed. */
export class ToolError extends Error {}

/**
 * Runs a program to its end and gives back what it printed on stdout.
 * @param options.detail gets each line of stderr as it comes.
 * @throws ToolError when it cannot be started or ends with another code than 0.
 */
export function runTool(
  command: string,
  args: string[],
  options: { env: Record<string, string>; cwd?: string; detail?: (line: string) => void },
): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { env: options.env, cwd: options.cwd, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      err = (err + text).slice(-20_000);
      const line = text.trim().split("\n").at(-1)?.trim();
      if (line) options.detail?.(line);
    });
    child.once("error", (error) => fail(new ToolError(`${command} cannot be started: ${error.message}`)));
    child.once("close", (code, signal) => {
      if (code === 0) return done(out);
      const told = `${err.trim()}\n${out.trim()}`.trim().split("\n").slice(-25).join("\n");
      fail(new ToolError(`${[command, ...args].join(" ")} ended with ${signal ?? code}:\n${told}`));
    });
  });
}
