/** `./vp bench [name…]`: submit, start, live, memory, capacity, overhead, containers, trainers, setup; without a name all but the last three. */

import type { Servers } from "@vision-platform/e2e/platform";
import { startTestServices } from "@vision-platform/laptop/test-services";
import { benchCapacity } from "./capacity.ts";
import { benchContainers } from "./containers.ts";
import { benchLive } from "./live.ts";
import { benchMemory } from "./memory.ts";
import { benchOverhead } from "./overhead.ts";
import { type Figure, keep } from "./report.ts";
import { benchSetup } from "./setup.ts";
import { benchStart } from "./start.ts";
import { benchSubmit } from "./submit.ts";
import { benchTrainers } from "./trainers.ts";

type Benchmark = (servers: Servers) => Promise<{ figures: Figure[]; notes: string[] }>;
const BENCHMARKS: Record<string, Benchmark> = {
  submit: benchSubmit,
  start: benchStart,
  live: benchLive,
  memory: benchMemory,
  capacity: benchCapacity,
  overhead: benchOverhead,
  containers: benchContainers,
  trainers: benchTrainers,
  setup: benchSetup,
};
/** Minutes each, or with needs of their own (an engine with images): only when asked for. */
const LONG = ["containers", "trainers", "setup"];

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  process.stderr.write(`no benchmark ${unknown.join(", ")}; there are ${Object.keys(BENCHMARKS).join(", ")}\n`);
  process.exit(2);
}
const names = asked.length > 0 ? asked : Object.keys(BENCHMARKS).filter((name) => !LONG.includes(name));

const { env, stop } = await startTestServices();
const servers: Servers = {
  database_url: env.TEST_DATABASE_URL,
  redis_url: env.TEST_REDIS_URL,
  s3_endpoint: env.TEST_S3_ENDPOINT,
  s3_access_key_id: env.TEST_S3_ACCESS_KEY_ID,
  s3_secret_access_key: env.TEST_S3_SECRET_ACCESS_KEY,
};
const figures: Figure[] = [];
const notes: string[] = [];
try {
  for (const name of names) {
    process.stderr.write(`bench ${name} …\n`);
    const result = await BENCHMARKS[name]?.(servers);
    figures.push(...(result?.figures ?? []));
    notes.push(...(result?.notes ?? []));
  }
} finally {
  await stop();
}
keep(names, figures, notes);
