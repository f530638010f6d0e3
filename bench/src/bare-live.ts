/** The limit of the live road: XADD → XREAD → emit to a room, in one process, with nothing in between. */
import { createServer } from "node:http";
import { connectRedis } from "@vision-platform/common/redis";
import { Server } from "socket.io";

/** Listens on a free port of 127.0.0.1; answers its address and a function that ends it. */
export async function bareServer(
  redisUrl: string,
  jobs: number[],
): Promise<{ url: string; close: () => Promise<void> }> {
  const http = createServer();
  const server = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });
  server.on("connection", (socket) => socket.on("join", (room: string) => socket.join(room)));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const redis = connectRedis(redisUrl, "blocking");
  let stopped = false;
  const follow = async () => {
    let cursor = "$";
    while (!stopped) {
      const answer = await redis.xread("COUNT", 500, "BLOCK", 1000, "STREAMS", "bench:bare", cursor).catch(() => null);
      for (const [id, fields] of answer?.[0]?.[1] ?? []) {
        cursor = id;
        server.to(`job:${jobs[Number(fields[1]) % jobs.length]}`).emit("bare", fields[3]);
      }
    }
  };
  void follow();
  return {
    url: `http://127.0.0.1:${(http.address() as { port: number }).port}`,
    async close() {
      stopped = true;
      redis.disconnect();
      await server.close();
    },
  };
}

/** Appends `rate` entries a second for `seconds`, each with the moment it was sent. */
export async function bareTrainer(redisUrl: string, rate: number, seconds: number): Promise<void> {
  const redis = connectRedis(redisUrl, "blocking");
  const begin = performance.now();
  let sent = 0;
  while (sent < rate * seconds) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - begin) / 1000) * rate) + 1);
    const batch = [];
    for (; sent < due; sent++) {
      const moment = String(performance.timeOrigin + performance.now());
      batch.push(redis.xadd("bench:bare", "MAXLEN", "~", 20_000, "*", "j", sent, "t", moment));
    }
    await Promise.all(batch);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  redis.disconnect();
}
