/** A worker as its users start it: a process, which tests may kill, freeze and stop. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { wholeEnvironment } from "./config.ts";

export interface WorkerProcess {
  pid: number;
  port: number;
  /** Everything it logged so far, one JSON object a line. */
  logged(): string;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM; resolves with the exit code, which is 0 only when it ended in time. */
  stop(): Promise<number | null>;
  /** Resolves when the process has ended. */
  ended: Promise<unknown>;
}

const MAIN = join(import.meta.dirname, "../main.ts");
const DETACHED_MAIN = join(import.meta.dirname, "script-worker.ts");

/**
 * Resolves when the worker takes jobs. `settings` are added to what any process needs; with DETACHED_FOLDER among them its
 * trainers outlive it.
 */
export async function startWorkerProcess(settings: Record<string, string>): Promise<WorkerProcess> {
  const { PATH = "", HOME = "" } = wholeEnvironment();
  const main = settings.DETACHED_FOLDER === undefined ? MAIN : DETACHED_MAIN;
  const child = spawn(process.execPath, [main], {
    env: { PATH, HOME, ...settings },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const ended = once(child, "exit");
  const ready = new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line);
      if (line.includes("worker takes jobs")) resolve((JSON.parse(line) as { port: number }).port);
    });
    ended.then(() => reject(new Error(`the worker ended at once:\n${lines.join("\n")}`)));
  });
  const port = await ready;
  return {
    pid: child.pid ?? 0,
    port,
    logged: () => lines.join("\n"),
    kill: (signal) => child.kill(signal),
    async stop() {
      child.kill("SIGTERM");
      await ended;
      return child.exitCode;
    },
    ended,
  };
}
