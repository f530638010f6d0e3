/** A few containers on a network of their own, by the `docker` command. Everything carries one label, and goes by it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const exec = promisify(execFile);
const LABEL = "vision-platform.simulation";
const MAX_OUTPUT = 64 * 1024 * 1024;

export interface ContainerSpec {
  name: string;
  image: string;
  /** Names on the network; several containers may share one. */
  aliases: string[];
  /** Further names, each with the one address it stands for. */
  hosts?: Record<string, string>;
  env: Record<string, string>;
  command?: string[];
  entrypoint?: string;
  /** `host:container:ro` bind mounts; only for code that is not in an image. */
  mounts?: string[];
  /** How often the engine starts it again after it failed. */
  restarts?: number;
}

/** What the engine knows of a container. */
export interface ContainerState {
  running: boolean;
  exitCode: number;
  restarts: number;
  outOfMemory: boolean;
  ipv6: string;
  mounts: { source: string; writable: boolean }[];
}

/** Answers with the command's standard output. Rejects with what the command wrote to standard error. */
async function docker(args: string[], timeout = 60_000): Promise<string> {
  try {
    return (await exec("docker", args, { timeout, maxBuffer: MAX_OUTPUT })).stdout.trim();
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim();
    throw new Error(`docker ${args[0]}: ${said || (error as Error).message}`, { cause: error });
  }
}

/** The containers and the network of one simulation. */
export class Containers {
  readonly #run: string;
  readonly #network: string;

  private constructor(run: string) {
    this.#run = run;
    this.#network = `${run}-network`;
  }

  /** Makes the network: IPv4 and IPv6, no way out of it. `subnet` is a free /64. Rejects when no engine answers. */
  static async create(run: string, subnet: string): Promise<Containers> {
    const made = new Containers(run);
    await docker([
      ...["network", "create", "--internal", "--ipv6", "--subnet", subnet, "--label", `${LABEL}=${run}`],
      made.#network,
    ]);
    return made;
  }

  /** Starts a container and answers with its IPv6 address. */
  async start(spec: ContainerSpec): Promise<string> {
    const flags = [
      ...["--detach", "--name", this.#name(spec.name), "--hostname", spec.name, "--label", `${LABEL}=${this.#run}`],
      ...["--network", this.#network],
      ...spec.aliases.flatMap((alias) => ["--network-alias", alias]),
      ...Object.entries(spec.hosts ?? {}).flatMap(([host, address]) => ["--add-host", `${host}:${address}`]),
      ...Object.entries(spec.env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
      ...(spec.mounts ?? []).flatMap((mount) => ["--volume", mount]),
      ...(spec.restarts ? ["--restart", `on-failure:${spec.restarts}`] : []),
      ...(spec.entrypoint === undefined ? [] : ["--entrypoint", spec.entrypoint]),
    ];
    await docker(["run", ...flags, spec.image, ...(spec.command ?? [])], 120_000);
    return (await this.state(spec.name)).ipv6;
  }

  async state(name: string): Promise<ContainerState> {
    const [found] = JSON.parse(await docker(["inspect", this.#name(name)])) as [
      {
        State: { Running: boolean; ExitCode: number; OOMKilled: boolean };
        RestartCount: number;
        NetworkSettings: { Networks: Record<string, { GlobalIPv6Address: string }> };
        Mounts: { Type: string; Source: string; RW: boolean }[];
      },
    ];
    return {
      running: found.State.Running,
      exitCode: found.State.ExitCode,
      restarts: found.RestartCount,
      outOfMemory: found.State.OOMKilled,
      ipv6: found.NetworkSettings.Networks[this.#network]?.GlobalIPv6Address ?? "",
      mounts: found.Mounts.filter(({ Type }) => Type === "bind").map(({ Source, RW }) => ({
        source: Source,
        writable: RW,
      })),
    };
  }

  /** SIGTERM, and SIGKILL after `seconds`; resolves when the container has ended. */
  async stop(name: string, seconds: number): Promise<void> {
    await docker(["stop", "--time", String(seconds), this.#name(name)], (seconds + 60) * 1000);
  }

  /** Runs a command inside and answers with its output. */
  exec(name: string, command: string[]): Promise<string> {
    return docker(["exec", this.#name(name), ...command]);
  }

  /** Everything it has written so far, both outputs. */
  async logs(name: string): Promise<string> {
    const { stdout, stderr } = await exec("docker", ["logs", this.#name(name)], { maxBuffer: MAX_OUTPUT });
    return stdout + stderr;
  }

  /** Takes the containers, their data and the network away. */
  async remove(): Promise<void> {
    const ids = await docker(["ps", "--all", "--quiet", "--filter", `label=${LABEL}=${this.#run}`]);
    if (ids !== "") await docker(["rm", "--force", "--volumes", ...ids.split("\n")], 180_000);
    await docker(["network", "rm", this.#network]);
  }

  #name(name: string): string {
    return `${this.#run}-${name}`;
  }
}
