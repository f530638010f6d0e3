/** docker-compose.yml as somebody has it who just cloned the repository: in a folder of its own, beside any other. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { writeComposeEnv } from "@vision-platform/laptop/compose-env";
import { choosePorts } from "@vision-platform/laptop/ports";

const ROOT = resolve(import.meta.dirname, "../..");
const LIMIT_MS = 3_600_000;
const run = promisify(execFile);

export interface Stack {
  /** The clone, and what is thrown away with it. */
  folder: string;
  env_file: string;
  gateway_url: string;
  /** The label's value by which this platform's trainers are found. */
  instance: string;
  /** `docker compose …` in the clone; answers with what it printed, rejects with what it said. */
  compose(...words: string[]): Promise<string>;
  docker(...words: string[]): Promise<string>;
  /** Adds or replaces settings of its `.env`. */
  set(settings: Record<string, string>): void;
  /** Ends everything, trainers, volumes and networks included, and removes the folder. */
  destroy(): Promise<void>;
}

/** A copy of every file that is, or would be, committed, with a `.env` of free ports and names of its own. */
export async function cloneStack(settings: Record<string, string>): Promise<Stack> {
  const folder = mkdtempSync(join(tmpdir(), "vp-compose-"));
  const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    maxBuffer: 1 << 26,
  });
  for (const file of listed.stdout.split("\0").filter((name) => name !== "")) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(ROOT, file), join(folder, file), { force: true, errorOnExist: false });
  }
  const env_file = join(folder, ".env");
  writeComposeEnv(env_file, join(folder, ".env.example"));
  const instance = `scenario-${randomBytes(3).toString("hex")}`;
  const names = ["POSTGRES_PORT", "REDIS_PORT", "S3_PORT", "MLFLOW_PORT", "GATEWAY_PORT", "NOTIFIER_PORT"];
  const ports = await choosePorts(names, null);
  const set = (values: Record<string, string>) => {
    for (const [name, value] of Object.entries(values)) appendFileSync(env_file, `\n${name}=${value}`);
  };
  set({
    COMPOSE_PROJECT_NAME: instance,
    PLATFORM_INSTANCE: instance,
    JOBS_NETWORK: `${instance}-jobs`,
    CACHE_VOLUME: `${instance}-cache`,
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    ...settings,
  });
  const runDocker = async (cwd: string, words: string[]) => {
    try {
      return (await run("docker", words, { cwd, timeout: LIMIT_MS, maxBuffer: 1 << 26 })).stdout;
    } catch (error) {
      const said = `${(error as { stderr?: string }).stderr ?? error}`;
      throw new Error(`docker ${words.join(" ")}:\n${said.slice(-3_000)}`, { cause: error });
    }
  };
  // Images are removed when the folder is gone.
  const docker = (...words: string[]) => runDocker(tmpdir(), words);
  const compose = (...words: string[]) => runDocker(folder, ["compose", ...words]);
  return {
    ...{ folder, env_file, instance, compose, docker, set },
    gateway_url: `http://127.0.0.1:${ports.GATEWAY_PORT}`,
    async destroy() {
      await compose("kill").catch(() => undefined);
      const trainers = await docker("ps", "-aq", "--filter", `label=vision-platform.instance=${instance}`);
      const ids = trainers.split("\n").filter((id) => id !== "");
      if (ids.length > 0) await docker("rm", "--force", "--volumes", ...ids);
      await compose("--profile", "*", "down", "--volumes", "--remove-orphans");
      await docker("volume", "rm", "--force", `${instance}-cache`);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
