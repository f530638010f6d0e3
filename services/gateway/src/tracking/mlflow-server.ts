/** For tests: a real MLflow server from the environment that `./vp check` installs (deploy/mlflow). */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const PYTHON = join(import.meta.dirname, "../../../../.vp/envs/mlflow/bin/python");
const START_MS = 180_000;

export interface MlflowServer {
  url: string;
  /** Begins to answer, with what it knew before. */
  start(): Promise<void>;
  /** Ends it; what it knows stays. */
  stop(): Promise<void>;
  /** Ends it and deletes what it knows. */
  remove(): Promise<void>;
  /** Asks it what the platform never asks. Throws on any answer but 2xx. */
  ask(path: string, body?: object): Promise<unknown>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** A server that is not running yet, with a database of its own. */
export async function mlflowServer(): Promise<MlflowServer> {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is not there: ./vp check installs it`);
  const folder = mkdtempSync(join(tmpdir(), "vp-mlflow-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let process: ChildProcess | undefined;

  async function stop(): Promise<void> {
    if (process?.pid === undefined || process.exitCode !== null) return;
    const ended = once(process, "exit");
    // It is a supervisor of server processes: the whole group goes.
    globalThis.process.kill(-process.pid, "SIGKILL");
    await ended;
  }

  return {
    url,
    stop,
    async start() {
      const args = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", String(port), "--workers", "1"];
      const store = [
        "--backend-store-uri",
        `sqlite:///${join(folder, "mlflow.db")}`,
        "--artifacts-destination",
        folder,
      ];
      const env = { PATH: "/usr/bin:/bin", HOME: folder, MLFLOW_DISABLE_TELEMETRY: "true", DO_NOT_TRACK: "true" };
      process = spawn(PYTHON, [...args, ...store], { cwd: folder, env, stdio: "ignore", detached: true });
      const end = performance.now() + START_MS;
      while (!(await answers(url))) {
        if (process.exitCode !== null || performance.now() > end) throw new Error("mlflow server does not start");
        await sleep(100);
      }
    },
    async remove() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
    async ask(path, body) {
      const post = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
      const answer = await fetch(`${url}/api/2.0/mlflow/${path}`, body === undefined ? {} : post);
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return await answer.json();
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
}
