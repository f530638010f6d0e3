/** The containers of this instance: nobody else's are seen, read, signalled or removed. */
import type Docker from "dockerode";
import type { AgentConfig } from "./config.ts";
import { change, question } from "./engine.ts";
import { INSTANCE, type Labels, readLabels } from "./labels.ts";
import type { ContainerItem } from "./protocol.ts";
import { AgentRefusal, engineStatus } from "./refusals.ts";

export interface OwnContainer {
  container: Docker.Container;
  info: Docker.ContainerInspectInfo;
  labels: NonNullable<ReturnType<typeof readLabels>>;
}

export interface Containers {
  list(): Promise<ContainerItem[]>;
  /** Throws AgentRefusal `not_found` for any container that is not ours, as for one that is not there. */
  own(id: string): Promise<OwnContainer>;
  signal(id: string, signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Whether this agent itself killed it. */
  wasKilled(id: string): boolean;
  /** Ends it when it runs, and takes its unnamed volumes with it. Resolves also when it is gone already. */
  remove(id: string): Promise<void>;
}

const STATES: Record<string, ContainerItem["state"]> = { created: "made", exited: "ended", dead: "ended" };

export function createContainers(engine: Docker, config: AgentConfig): Containers {
  const instance = config.PLATFORM_INSTANCE;
  const killed = new Set<string>();

  async function own(id: string): Promise<OwnContainer> {
    const container = engine.getContainer(id);
    const info = await container.inspect(question()).catch((error: unknown) => {
      if (engineStatus(error) !== 404) throw error;
    });
    const labels = info && readLabels(instance, info.Config.Labels);
    if (!info || !labels)
      throw new AgentRefusal("not_found", `there is no container ${id.slice(0, 12)} of this platform`);
    return { container, info, labels };
  }

  function item(each: Docker.ContainerInfo): ContainerItem[] {
    const labels = readLabels(instance, each.Labels as Labels);
    if (!labels) return [];
    const { job_id, attempt, framework, marker } = labels;
    return [{ id: each.Id, job_id, attempt, framework, marker, state: STATES[each.State] ?? "runs" }];
  }

  return {
    own,
    wasKilled: (id) => killed.has(id),
    async list() {
      const filters = { label: [`${INSTANCE}=${instance}`] };
      const found = await engine.listContainers({ all: true, filters, ...question() });
      return found.flatMap(item);
    },
    async signal(id, signal) {
      const { container } = await own(id);
      if (signal === "SIGKILL") killed.add(id);
      try {
        await container.kill({ signal, ...change() });
      } catch (error) {
        // 409: it has ended by itself; 404: it was removed in between.
        if (![404, 409].includes(engineStatus(error) ?? 0)) throw error;
      }
    },
    async remove(id) {
      const { container } = await own(id);
      try {
        await container.remove({ force: true, v: true, ...change() });
        killed.delete(id);
      } catch (error) {
        // 409: somebody else removes it right now.
        if (![404, 409].includes(engineStatus(error) ?? 0)) throw error;
      }
    },
  };
}
