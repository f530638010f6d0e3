/** TCP relays: the few endpoints outside the trainers' network that a trainer may reach. */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Logger } from "@vision-platform/common/logger";
import type { Relay } from "./config.ts";
import { AgentRefusal } from "./refusals.ts";

const CONNECT_LIMIT_MS = 10_000;
/** A trainer and its loaders keep a few dozen; this is for all trainers of this engine. */
const MAX_CONNECTIONS = 2_048;

export interface Relays {
  /** Opens every relay at this address, unless they are open there. Rejects with AgentRefusal when a port is taken. */
  listen(address: string): Promise<void>;
  close(): void;
}

function join(one: Socket, other: Socket): void {
  one.pipe(other);
  other.pipe(one);
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    here.on("error", () => there.destroy());
    here.on("close", () => there.destroy());
  }
}

function openRelay({ name, target }: Relay, logger: Logger): Server {
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (client) => {
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true, keepAlive: true });
    const limit = setTimeout(() => upstream.destroy(new Error("no answer in time")), CONNECT_LIMIT_MS);
    upstream.once("connect", () => clearTimeout(limit));
    upstream.once("error", (error) => logger.warn({ err: error, name, target }, "a relay does not reach its target"));
    upstream.once("close", () => clearTimeout(limit));
    join(client, upstream);
  });
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

function listenAt(server: Server, { name, port }: Relay, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const message = `the relay ${name} cannot listen on ${host}:${port}: ${error.message}`;
      reject(new AgentRefusal("launch_failed", message, error));
    });
    server.listen({ host, port }, resolve);
  });
}

export function createRelays(relays: Relay[], logger: Logger): Relays {
  let open: { address: string; servers: Server[]; ready: Promise<unknown> } | undefined;

  function close(): void {
    for (const server of open?.servers ?? []) server.close();
    open = undefined;
  }

  return {
    close,
    async listen(address) {
      if (open?.address !== address) {
        close();
        const servers = relays.map((relay) => openRelay(relay, logger));
        const ready = Promise.all(relays.map((relay, index) => listenAt(servers[index] as Server, relay, address)));
        open = { address, servers, ready };
        logger.info({ address, relays: relays.map(({ name, port }) => `${name}:${port}`) }, "relays are open");
      }
      await open.ready.catch((error: unknown) => {
        close();
        throw error;
      });
    },
  };
}
