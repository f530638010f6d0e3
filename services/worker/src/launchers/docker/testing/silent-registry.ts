/** A registry that takes connections and then says nothing: a pull from it lasts until somebody ends it. */
import { createServer } from "node:net";

export interface SilentRegistry {
  /** Stands before the name of an image. */
  prefix: string;
  connections(): number;
  close(): void;
}

/** On this machine's loopback. */
export async function silentRegistry(): Promise<SilentRegistry> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    prefix: `127.0.0.1:${port}/test/`,
    connections: () => connections,
    close: () => void server.close(),
  };
}
