/** The networks of trainers, and what they reach there. */
import { createServer } from "node:net";
import type Docker from "dockerode";
import type { AgentConfig } from "./config.ts";
import { answered, change } from "./engine.ts";
import { INSTANCE } from "./labels.ts";
import { AgentRefusal, engineStatus } from "./refusals.ts";
import type { Relays } from "./relays.ts";

export interface Networks {
  /** Makes what is not there, opens the relays. Answers with `name:address` of each relay. */
  ready(allowNetwork: boolean): Promise<string[]>;
}

/** Asked by trying: the system's list of interfaces leaves out a bridge that no container is at yet. */
function isOwn(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer().once("error", () => resolve(false));
    probe.listen({ host: address, port: 0 }, () => probe.close(() => resolve(true)));
  });
}

/** The address at which containers of this network reach this process: the bridge's own, or ours as one of them. */
async function reachableAddress(network: Docker.NetworkInspectInfo): Promise<string | undefined> {
  const gateways = (network.IPAM?.Config ?? []).map((each) => each.Gateway ?? "");
  const members = Object.values(network.Containers ?? {}).map((each) => each.IPv4Address);
  for (const each of [...gateways, ...members]) {
    const address = each.split("/")[0] ?? "";
    if (address !== "" && (await isOwn(address))) return address;
  }
  return undefined;
}

export function createNetworks(engine: Docker, config: AgentConfig, relays: Relays): Networks {
  /** A network that is there already is taken as it is: whoever made it decided who else is in it. */
  async function ensure(name: string, internal: boolean): Promise<Docker.NetworkInspectInfo> {
    const network = engine.getNetwork(name);
    try {
      return await answered(network.inspect());
    } catch (error) {
      if (engineStatus(error) !== 404) throw error;
    }
    try {
      await engine.createNetwork({
        Name: name,
        CheckDuplicate: true,
        Driver: "bridge",
        Internal: internal,
        Labels: { [INSTANCE]: config.PLATFORM_INSTANCE },
        // Trainers have nothing to say to each other.
        Options: { "com.docker.network.bridge.enable_icc": "false" },
        ...change(),
      });
    } catch (error) {
      if (engineStatus(error) !== 409) throw error;
    }
    return await answered(network.inspect());
  }

  return {
    async ready(allowNetwork) {
      const jobs = await ensure(config.JOBS_NETWORK, true);
      if (allowNetwork) await ensure(config.OPEN_NETWORK, false);
      if (config.RELAYS.length === 0) return [];
      const address = config.RELAY_ADDRESS ?? (await reachableAddress(jobs));
      if (address === undefined) {
        const fix = `put the agent's own container into that network, or set RELAY_ADDRESS`;
        const message = `RELAYS are set, but this process has no address in the network ${config.JOBS_NETWORK}: ${fix}`;
        throw new AgentRefusal("launch_failed", message);
      }
      await relays.listen(address);
      return config.RELAYS.map(({ name }) => `${name}:${address}`);
    },
  };
}
