/** What a container of the simulation may not have: a shared file system, a container engine, IPv4 to Postgres, Redis or R2. */

import { expect } from "@vision-platform/e2e/walkthrough/expecting";
import type { Containers } from "./containers.ts";
import type { Project } from "./project.ts";

const ESTABLISHED = "01";
const MANAGED_PORTS = [5432, 6379, 7070];

/** Addresses are written as the processor has them in memory: 127.0.0.1 is 0100007F on ours. */
const isLoopback = (address: string) => address.slice(6, 8) === "7F";

/** Connections over IPv4 to these ports of anybody else, from /proc/net/tcp. */
export function connectionsOverIpv4(table: string, ports: readonly number[]): string[] {
  return table
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote = "", state]) => state === ESTABLISHED && !isLoopback(remote))
    .filter(([, , remote = ""]) => ports.includes(Number.parseInt(remote.slice(9), 16)))
    .map(([, , remote = ""]) => remote);
}

/**
 * Every running container of the project: nothing writable is mounted, no engine is seen, no IPv4 to Postgres, Redis and
 * R2. The gateway's name has both kinds of address, as all names in Railway's newer environments.
 */
export async function checkIsolation(project: Project, containers: Containers): Promise<number> {
  let checked = 0;
  for (const service of project.services) {
    for (const { name } of project.active(service).replicas) {
      const { mounts } = await containers.state(name);
      const shared = mounts.filter(({ writable, source }) => writable || source.endsWith(".sock"));
      expect(
        shared.length === 0,
        `${name} has nothing mounted, found ${shared.map(({ source }) => source).join(", ")}`,
      );
      const sockets = await containers.exec(name, [
        "sh",
        "-c",
        "ls /run/docker.sock /var/run/docker.sock 2>/dev/null || true",
      ]);
      expect(sockets === "", `${name} sees no container engine`);
      const ipv4 = connectionsOverIpv4(await containers.exec(name, ["cat", "/proc/net/tcp"]), MANAGED_PORTS);
      expect(ipv4.length === 0, `${name} talks IPv6 alone, found ${ipv4.join(", ")}`);
      checked += 1;
    }
  }
  return checked;
}

/** Trainers that still run in the workers, by the names of their processes. */
export async function trainersLeft(project: Project, containers: Containers): Promise<string[]> {
  const workers = project.services.filter((service) => service.startsWith("worker-"));
  const replicas = workers.flatMap((service) => project.active(service).replicas);
  const found = replicas.map(async ({ name }) => {
    const processes = await containers.exec(name, ["sh", "-c", "cat /proc/[0-9]*/comm"]);
    return processes
      .split("\n")
      .filter((comm) => comm.startsWith("python"))
      .map((comm) => `${name}: ${comm}`);
  });
  return (await Promise.all(found)).flat();
}
