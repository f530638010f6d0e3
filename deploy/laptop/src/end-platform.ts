import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { endProcesses, forgetEnded, readRecords } from "./ending.ts";
import type { VpPaths } from "./paths.ts";
import { isAlive, type ProcessRecord } from "./process-identity.ts";

/** What the services need until they have ended; workers end their containers through the agent. */
const SERVERS = ["postgres", "redis", "s3", "docker-agent"];

// Together below the ten seconds that `./vp down` promises.
const SERVICES_MS = 8_600; // a worker gives its trainers 7 s to save a checkpoint
const TRAINERS_MS = 400;
const SERVERS_MS = 900;

/** Everything of this checkout that is alive by its recorded identity: our processes and the trainers of workers. */
export function livingProcesses(paths: VpPaths): ProcessRecord[] {
  return [...partRecords(paths), ...trainerRecords(paths)].filter(isAlive);
}

/**
 * Ends all processes of this checkout but the supervisor, in the order that loses nothing: services (workers end or
 * checkpoint their trainers), trainers left without a worker, then Postgres, Redis and S3.
 * Goes by recorded identity, so it also ends what a killed supervisor left behind.
 * @returns the names that did not end by themselves and were killed.
 */
export async function endPlatform(paths: VpPaths): Promise<string[]> {
  const records = partRecords(paths);
  const isServer = (record: ProcessRecord) => SERVERS.includes(record.name);
  const killed = await endProcesses(
    records.filter((record) => !isServer(record)),
    "SIGTERM",
    SERVICES_MS,
  );
  killed.push(...(await endProcesses(trainerRecords(paths), "SIGTERM", TRAINERS_MS)));
  killed.push(...(await endProcesses(records.filter(isServer), "SIGINT", SERVERS_MS)));
  forgetEnded(paths.run);
  rmSync(paths.state, { force: true });
  return killed;
}

function partRecords(paths: VpPaths): ProcessRecord[] {
  return readRecords(paths.run)
    .map((entry) => entry.record)
    .filter((record) => record.name !== "supervisor");
}

/** Workers note each trainer they start in `<work dir>/attempts/*.json`. */
function trainerRecords(paths: VpPaths): ProcessRecord[] {
  let workers: string[];
  try {
    workers = readdirSync(paths.work);
  } catch {
    return [];
  }
  return workers.flatMap((worker) => {
    const folder = join(paths.work, worker, "attempts");
    return attemptFiles(folder).flatMap((name) => trainerOf(join(folder, name), name));
  });
}

function attemptFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".json"));
  } catch {
    return [];
  }
}

/** The process `<pid>:<start time>` of a trainer; containers are their engine's, and end through the agent. */
function trainerOf(file: string, name: string): ProcessRecord[] {
  try {
    const { launcher, trainer } = JSON.parse(readFileSync(file, "utf8"));
    const [, pid, start_time] = /^([1-9]\d*):(.+)$/.exec(trainer.handle ?? "") ?? [];
    if (launcher !== "subprocess" || pid === undefined || start_time === undefined) return [];
    return [{ name: `trainer ${name.slice(0, -".json".length)}`, pid: Number(pid), start_time }];
  } catch {
    return [];
  }
}
