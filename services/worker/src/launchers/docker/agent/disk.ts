/** How much room the engine has for a trainer's log and for layers. */
import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type Docker from "dockerode";
import type { AgentConfig } from "./config.ts";
import { answered } from "./engine.ts";
import { AgentRefusal } from "./refusals.ts";

export interface Disk {
  place: string;
  free_bytes: number;
}

/**
 * The engine does not tell how much room it has. Its data root is seen where it runs on the same machine; in a container
 * the agent's own volume (where its socket is) lies on the same disk.
 */
async function engineDisk(engine: Docker, config: AgentConfig): Promise<string> {
  if (config.ENGINE_DISK) return config.ENGINE_DISK;
  const info = (await answered(engine.info())) as { DockerRootDir?: string };
  return info.DockerRootDir && existsSync(info.DockerRootDir)
    ? info.DockerRootDir
    : dirname(config.DOCKER_AGENT_SOCKET);
}

/** Bytes that are free for the engine; null when no place of its disk can be seen from here. */
export async function readDisk(engine: Docker, config: AgentConfig): Promise<Disk | null> {
  const place = await engineDisk(engine, config);
  try {
    const { bavail, bsize } = await statfs(place);
    return { place, free_bytes: bavail * bsize };
  } catch {
    return null;
  }
}

/** Throws AgentRefusal `launch_failed` when less is free than a launch needs. */
export async function requireRoom(engine: Docker, config: AgentConfig): Promise<void> {
  const disk = await readDisk(engine, config);
  if (disk === null || disk.free_bytes >= config.MIN_FREE_BYTES) return;
  const needed = `MIN_FREE_BYTES asks for ${config.MIN_FREE_BYTES}`;
  const fix = "free some (docker system prune takes unused images and stopped containers away)";
  throw new AgentRefusal(
    "launch_failed",
    `${disk.free_bytes} bytes are free at ${disk.place} on the engine's disk, ${needed}: ${fix}`,
  );
}
