import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { z } from "zod";

const portsFile = z.record(z.string(), z.number().int().min(1).max(65_535));

/**
 * Chooses a free loopback port for each name. A port noted in `file` from the time before is kept while it is free, so
 * that addresses stay the same from one `./vp up` to the next.
 * @param file where the choice is noted; null to note nothing.
 */
export async function choosePorts<Name extends string>(
  names: readonly Name[],
  file: string | null,
): Promise<Record<Name, number>> {
  const before = file ? readPorts(file) : {};
  const chosen: Record<string, number> = {};
  const held: Server[] = [];
  try {
    // All are held open until the last is chosen: otherwise the system could give one port twice.
    for (const name of names) {
      const server = (await hold(before[name] ?? 0)) ?? (await hold(0));
      if (!server) throw new Error("there is no free port on 127.0.0.1");
      held.push(server);
      const address = server.address();
      if (address === null || typeof address === "string") throw new Error("the system gave no port number");
      chosen[name] = address.port;
    }
  } finally {
    await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  }
  if (file) {
    writeFileSync(`${file}.new`, `${JSON.stringify({ ...before, ...chosen }, null, 2)}\n`);
    renameSync(`${file}.new`, file);
  }
  return chosen as Record<Name, number>;
}

/** Listens on a port of 127.0.0.1 (0: any); null when it is taken. */
function hold(port: number): Promise<Server | null> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(null));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => done(server));
  });
}

function readPorts(file: string): Record<string, number> {
  try {
    return portsFile.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return {};
  }
}
