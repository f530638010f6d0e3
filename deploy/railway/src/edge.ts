/** Railway's edge: one public address for a service, whose connections go to a random replica of the active deployment. */
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";

export interface Target {
  host: string;
  port: number;
}

export interface Edge {
  /** `http://127.0.0.1:<port>` */
  url: string;
  close(): void;
}

/** `targets` is asked for every new connection; connections that are open stay where they are. */
export async function openEdge(targets: () => Target[]): Promise<Edge> {
  const open = new Set<{ destroy(): void }>();
  const server: Server = createServer((client) => {
    const choice = targets();
    const target = choice[Math.floor(Math.random() * choice.length)];
    if (!target) {
      client.destroy();
      return;
    }
    const replica = connect(target);
    for (const [one, other] of [[client, replica] as const, [replica, client] as const]) {
      open.add(one);
      one.once("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.once("error", () => undefined);
      one.pipe(other);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
