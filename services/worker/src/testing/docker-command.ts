/** The docker command, for tests that need an image made or a container of their own beside the launcher's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/** Runs it to its end; never rejects for what it says. */
export async function docker(args: string[], input = ""): Promise<{ code: number; output: string }> {
  const child = spawn("docker", args, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (child.exitCode === null) await once(child, "exit");
  return { code: child.exitCode ?? 1, output: `${stdout}${stderr}`.trim() };
}

/** What it wrote. Rejects when it fails. */
export async function dockerDone(...args: string[]): Promise<string> {
  const { code, output } = await docker(args);
  if (code !== 0) throw new Error(`docker ${args.slice(0, 2).join(" ")}: ${output.slice(-2_000)}`);
  return output;
}
