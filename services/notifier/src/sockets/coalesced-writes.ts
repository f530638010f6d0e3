/**
 * One system call per connection and turn of the event loop, however many packets the turn brought. Engine.IO hands on
 * the first packet at once and ws writes every frame by itself; with hundreds of sockets those writes are most of the
 * work. Waiting for the turn's end costs less than a millisecond, and the busier the process, the more it saves.
 */
/** The parts of an Engine.IO connection that are used here; they are not in the public types. */
interface EngineConnection {
  flush(): void;
  transport: {
    send(packets: unknown[]): void;
    socket?: { _socket?: { cork(): void; uncork(): void } };
  };
}

interface EngineServer {
  on(event: "connection", listener: (connection: EngineConnection) => void): unknown;
}

/** For every connection of `engine` from now on. */
export function coalesceWrites(engine: EngineServer): void {
  const waiting = new Set<() => void>();
  const flushAll = () => {
    const flushes = [...waiting];
    waiting.clear();
    for (const flush of flushes) flush();
  };
  engine.on("connection", (connection) => {
    const { transport } = connection;
    const flush = connection.flush.bind(connection);
    connection.flush = () => {
      if (waiting.size === 0) setImmediate(flushAll);
      waiting.add(flush);
    };
    const send = transport.send.bind(transport);
    transport.send = (packets) => {
      const raw = transport.socket?._socket;
      raw?.cork();
      send(packets);
      raw?.uncork();
    };
  });
}
