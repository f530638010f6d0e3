import { join, resolve } from "node:path";

/** The root of this checkout. */
export const ROOT = resolve(import.meta.dirname, "../../..");

/** Everything the laptop platform keeps (data, logs, environments, secrets); never committed. */
export const VP_DIR = join(ROOT, ".vp");

/** Where each part of the laptop platform lives under a `.vp` folder. */
export function vpPaths(dir: string = VP_DIR) {
  return {
    dir,
    secrets: join(dir, "secrets.json"),
    ports: join(dir, "ports.json"),
    state: join(dir, "state.json"),
    lock: join(dir, "up.lock"),
    /** One record {name, pid, start_time} for each process that was ever started and not yet seen to end. */
    run: join(dir, "run"),
    logs: join(dir, "logs"),
    postgres: join(dir, "postgres"),
    redis: join(dir, "redis"),
    s3: join(dir, "s3"),
    work: join(dir, "work"),
    envs: join(dir, "envs"),
    uv: join(dir, "uv"),
    valkey: join(dir, "valkey"),
    demo: join(dir, "demo"),
    promtool: join(dir, "promtool"),
  };
}

export type VpPaths = ReturnType<typeof vpPaths>;
