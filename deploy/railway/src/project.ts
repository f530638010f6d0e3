/**
 * Plays Railway for one project: starts deployments from the committed config and variables, waits for their health
 * check, sends people to the active one, and drains the old one as Railway does.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Containers } from "./containers.ts";
import { type Edge, openEdge, type Target } from "./edge.ts";
import type { ImageSource } from "./images.ts";
import { readServiceConfig, readVariables, type ServiceConfig } from "./service-config.ts";
import { type ProjectVariables, parseVariables, resolveVariables } from "./variables.ts";

export interface Replica {
  /** Name of the container. */
  name: string;
  host: string;
}

export interface Deployment {
  service: string;
  number: number;
  replicas: Replica[];
}

/** How an old deployment went: seconds from SIGTERM, and the exit codes of its replicas. */
export interface Drained {
  service: string;
  seconds: number;
  exitCodes: number[];
}

export interface ProjectOptions {
  containers: Containers;
  images: ImageSource;
  /** Of the services that the project does not deploy: Postgres, Redis, shared. */
  variables: ProjectVariables;
  /** Their private names, with their addresses. */
  hosts: Record<string, string>;
  /** The services to run. */
  services: string[];
  /** Replaces what the config says, for all services whose name begins so. */
  overrides: Record<string, Partial<ServiceConfig["deploy"]>>;
  /** Variables on top of the committed ones, by service. */
  extra: ProjectVariables;
}

export class Project {
  readonly services: string[];
  readonly #options: ProjectOptions;
  readonly #active = new Map<string, Deployment>();
  readonly #all: Deployment[] = [];
  readonly #edges = new Map<string, Edge>();
  readonly #variables: ProjectVariables;

  constructor(options: ProjectOptions) {
    this.#options = options;
    this.services = options.services;
    const own = options.services.map((service): [string, Record<string, string>] => {
      const framework = /^worker-(.+)$/.exec(service)?.[1];
      const provided = {
        RAILWAY_PRIVATE_DOMAIN: `${service}.railway.internal`,
        RAILWAY_PUBLIC_DOMAIN: `${service}.example.org`,
        RAILWAY_SERVICE_NAME: service,
      };
      const given = parseVariables(readVariables(service));
      return [
        service,
        { ...provided, ...given, ...(framework ? { FRAMEWORK: framework } : {}), ...options.extra[service] },
      ];
    });
    this.#variables = { ...options.variables, ...Object.fromEntries(own) };
  }

  config(service: string): ServiceConfig["deploy"] {
    const { deploy } = readServiceConfig(service);
    const changes = Object.entries(this.#options.overrides).filter(([prefix]) => service.startsWith(prefix));
    return Object.assign({}, deploy, ...changes.map(([, change]) => change)) as ServiceConfig["deploy"];
  }

  active(service: string): Deployment {
    const found = this.#active.get(service);
    if (!found) throw new Error(`${service} is not deployed`);
    return found;
  }

  /** Every container of a service that was ever started. */
  replicasOf(service: string): Replica[] {
    return this.#all.filter((each) => each.service === service).flatMap(({ replicas }) => replicas);
  }

  /** The public address of a service; with `replica`, of that one alone. */
  async publicUrl(service: string, replica?: number): Promise<string> {
    const key = `${service}/${replica ?? "any"}`;
    const known = this.#edges.get(key);
    if (known) return known.url;
    const port = Number(this.#variables[service]?.PORT);
    const edge = await openEdge(() => {
      const hosts = this.#active.get(service)?.replicas.map(({ host }): Target => ({ host, port })) ?? [];
      return replica === undefined ? hosts : hosts.slice(replica, replica + 1);
    });
    this.#edges.set(key, edge);
    return edge.url;
  }

  /** A new deployment, active at once. */
  async deploy(service: string): Promise<void> {
    const deployment = await this.start(service);
    void this.activate(deployment);
  }

  /**
   * Starts a new deployment beside the active one and resolves when it is healthy. Rejects, with the end of its log, when
   * it is not in time.
   */
  async start(service: string): Promise<Deployment> {
    const number = this.#all.filter((each) => each.service === service).length + 1;
    const deployment: Deployment = { service, number, replicas: [] };
    this.#all.push(deployment);
    const names = Array.from(
      { length: this.config(service).numReplicas },
      (_, index) => `${service}-d${number}-${index}`,
    );
    deployment.replicas = await Promise.all(names.map((name) => this.#start(service, name)));
    await Promise.all(deployment.replicas.map((replica) => this.#untilHealthy(service, replica)));
    return deployment;
  }

  /** From now on people come here; resolves when the deployment before it has drained and is gone. */
  async activate(deployment: Deployment): Promise<Drained | null> {
    const old = this.#active.get(deployment.service);
    this.#active.set(deployment.service, deployment);
    return old ? await this.#drain(old) : null;
  }

  close(): void {
    for (const edge of this.#edges.values()) edge.close();
  }

  async #start(service: string, name: string): Promise<Replica> {
    const { image, command, env, mounts } = this.#options.images(service);
    const { SERVICE: _builtWith, ...variables } = resolveVariables(this.#variables, service);
    const host = await this.#options.containers.start({
      name,
      image,
      aliases: [`${service}.railway.internal`],
      hosts: this.#options.hosts,
      env: { ...env, ...variables },
      restarts: this.config(service).restartPolicyMaxRetries,
      ...(command ? { command } : {}),
      ...(mounts ? { mounts } : {}),
    });
    return { name, host };
  }

  async #untilHealthy(service: string, { name, host }: Replica): Promise<void> {
    const { healthcheckPath, healthcheckTimeout } = this.config(service);
    const url = `http://[${host}]:${this.#variables[service]?.PORT}${healthcheckPath}`;
    const limit = Date.now() + healthcheckTimeout * 1000;
    let last = "";
    while (Date.now() < limit) {
      try {
        const answer = await fetch(url, { signal: AbortSignal.timeout(4_000) });
        if (answer.status === 200) return;
        last = await answer.text();
      } catch (error) {
        last = String((error as Error).cause ?? error);
      }
      await sleep(250);
    }
    const log = (await this.#options.containers.logs(name)).slice(-3_000);
    throw new Error(`${name} was not healthy within ${healthcheckTimeout} s: ${last}\n${log}`);
  }

  async #drain(old: Deployment): Promise<Drained> {
    const { overlapSeconds, drainingSeconds } = this.config(old.service);
    await sleep(overlapSeconds * 1000);
    const began = Date.now();
    await Promise.all(old.replicas.map(({ name }) => this.#options.containers.stop(name, drainingSeconds)));
    const states = await Promise.all(old.replicas.map(({ name }) => this.#options.containers.state(name)));
    const seconds = Math.round((Date.now() - began) / 100) / 10;
    return { service: old.service, seconds, exitCodes: states.map(({ exitCode }) => exitCode) };
  }
}
