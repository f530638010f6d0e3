/** Lets pods reach servers that listen on this machine's loopback only: TCP relays on the address that pods know. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

export interface Door {
  /** The given address, as pods reach it (or, for the API server, as a test may cut it off). */
  url: string;
  /** From now on nothing passes, and what is open is cut. */
  shut(): void;
  open(): void;
  close(): Promise<void>;
}

/** A relay from `host` to where `url` points. Close it in `afterAll`. */
export async function openDoor(host: string, url: string): Promise<Door> {
  const target = new URL(url);
  const port = Number(target.port || (target.protocol === "https:" ? 443 : 80));
  const sockets = new Set<Socket>();
  let isShut = false;
  const server: Server = createServer((near) => {
    if (isShut) {
      near.destroy();
      return;
    }
    const far = connect(port, target.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, host);
  await once(server, "listening");
  const seen = new URL(url);
  seen.hostname = host;
  seen.port = String((server.address() as { port: number }).port);
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: seen.toString().replace(/\/$/, target.pathname === "/" ? "" : "/"),
    shut() {
      isShut = true;
      cut();
    },
    open() {
      isShut = false;
    },
    async close() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
