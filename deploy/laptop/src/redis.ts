import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { baseEnvironment } from "./config.ts";
import type { Part } from "./part.ts";
import { ensureRedisBinary } from "./redis-binary.ts";

/**
 * The embedded Redis on a loopback port: append-only file forced to disk every second, no eviction, a password.
 * @param options.durable false for tests: nothing is written to disk.
 */
export async function redisPart(options: {
  dir: string;
  port: number;
  password: string;
  durable: boolean;
}): Promise<Part> {
  const { dir, port, password } = options;
  const binary = await ensureRedisBinary();
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // A file and not arguments: arguments are readable by everybody on the machine.
  const config = join(dir, "redis.conf");
  writeFileSync(config, redisConfig(options), { mode: 0o600 });
  return {
    name: "redis",
    command: binary.path,
    args: [config],
    env: baseEnvironment(),
    cwd: dir,
    stopSignal: "SIGTERM",
    ready: () => pingRedis(port, password),
    address: `redis://127.0.0.1:${port}`,
  };
}

function redisConfig(options: { dir: string; port: number; password: string; durable: boolean }): string {
  return `${[
    "bind 127.0.0.1",
    `port ${options.port}`,
    `requirepass ${options.password}`,
    `dir ${JSON.stringify(options.dir)}`,
    `appendonly ${options.durable ? "yes" : "no"}`,
    "appendfsync everysec",
    'save ""',
    "maxmemory-policy noeviction",
    "daemonize no",
  ].join("\n")}\n`;
}

/** REDIS_URL of the embedded server. */
export function redisUrl(port: number, password: string): string {
  return `redis://:${password}@127.0.0.1:${port}`;
}

/** Null when the server answers PING to this password, else what is wrong. */
function pingRedis(port: number, password: string): Promise<string | null> {
  return new Promise((done) => {
    const socket = connect({ host: "127.0.0.1", port });
    let answer = "";
    const finish = (result: string | null) => {
      socket.destroy();
      done(result);
    };
    socket.setTimeout(1_000, () => finish("Redis does not answer"));
    socket.once("error", (error) => finish(`Redis is not listening (${error.message})`));
    socket.once("connect", () => socket.write(`AUTH ${password}\r\nPING\r\n`));
    socket.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
      if (answer.includes("+PONG")) finish(null);
      else if (answer.includes("-LOADING")) finish("Redis is loading its data");
      else if (answer.includes("-")) finish(`Redis answers ${answer.trim().split("\r\n").at(-1)}`);
    });
  });
}
