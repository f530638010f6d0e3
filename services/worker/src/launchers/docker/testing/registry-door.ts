/** The way to a registry, which a test may narrow: so many bytes come through, and then none until it says so. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface RegistryDoor {
  /** Stands before the name of an image. */
  prefix: string;
  /** It leads to this port of the loopback from now on. */
  leadTo(port: number): void;
  /** Nothing more comes through once these bytes have, over all connections together. */
  holdAfter(bytes: number): void;
  release(): void;
  connections(): number;
  close(): void;
}

/** On this machine's loopback: there the engine asks without TLS. */
export async function registryDoor(): Promise<RegistryDoor> {
  const registries = new Set<Socket>();
  let target = 0;
  let rest = Number.POSITIVE_INFINITY;

  function open(engine: Socket): void {
    const registry = connect(target, "127.0.0.1");
    registries.add(registry);
    engine.pipe(registry);
    registry.on("data", (chunk) => {
      rest -= chunk.length;
      engine.write(chunk);
      if (rest <= 0) registry.pause();
    });
    engine.on("error", () => undefined).on("close", () => registry.destroy());
    registry
      .on("error", () => undefined)
      .on("close", () => {
        registries.delete(registry);
        // Once all that came before is through.
        engine.destroySoon();
      });
  }

  const server = createServer(open);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  return {
    prefix: `127.0.0.1:${port}/tests/`,
    leadTo(registryPort) {
      target = registryPort;
    },
    holdAfter(bytes) {
      rest = bytes;
    },
    release() {
      rest = Number.POSITIVE_INFINITY;
      for (const registry of registries) registry.resume();
    },
    connections: () => registries.size,
    close() {
      for (const registry of registries) registry.destroy();
      server.close();
    },
  };
}
