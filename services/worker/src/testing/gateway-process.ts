/** A whole gateway for tests, as a process of its own: with its own database and its own logical Redis. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { wholeEnvironment } from "./config.ts";

export interface GatewayProcess {
  url: string;
  internal_token: string;
  redis_url: string;
  /** SIGSTOP and SIGCONT make it hang and come back. */
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

const TESTING = join(import.meta.dirname, "../../../gateway/src/testing.ts");

/** Services never import each other: the gateway's own test helper runs in a process, and tells where it listens. */
const PROGRAM = `
const { startTestGateway } = await import(process.argv[1]);
const test = await startTestGateway({ config: { TRAINERS_DIR: process.argv[2], STORAGE_BUCKET: process.argv[3] } });
const { INTERNAL_TOKEN: internal_token, REDIS_URL: redis_url } = test.gateway.config;
process.stdout.write(JSON.stringify({ url: test.url, internal_token, redis_url }) + "\\n");
process.stdin.resume();
process.stdin.once("end", () => test.stop().then(() => process.exit(0), () => process.exit(1)));
`;

/** Needs the TEST_* variables. It ends with this process at the latest, because its standard input closes then. */
export async function startGatewayProcess(trainersDir: string, bucket: string): Promise<GatewayProcess> {
  const args = ["--input-type=module", "-e", PROGRAM, TESTING, trainersDir, bucket];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"], env: wholeEnvironment() });
  const ended = once(child, "exit");
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), "line"),
    ended.then(([code]) => {
      throw new Error(`the gateway for tests did not start (it ended with ${code})`);
    }),
  ]);
  const said = JSON.parse(String(line)) as Pick<GatewayProcess, "url" | "internal_token" | "redis_url">;
  return {
    ...said,
    signal: (name) => child.kill(name),
    async stop() {
      child.kill("SIGCONT");
      child.stdin.end();
      await ended;
    },
  };
}
