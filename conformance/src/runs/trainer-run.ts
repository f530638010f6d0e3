/** One run of a trainer as a black box: started, watched, signalled, and looked at when it is over. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { EventDoor } from "../platform/door.ts";
import type { Inbox, Received } from "../platform/inbox.ts";
import type { S3Door, S3Request } from "../platform/s3-door.ts";
import type { Job } from "./environment.ts";
import type { Exit, Housed, Housing } from "./housing.ts";
import type { Sandbox } from "./sandbox.ts";

/** What is known once it is over. */
export interface Finished {
  exit: Exit;
  began: number;
  ended: number;
  timedOut: boolean;
  stdout: string;
  stderr: string;
  s3: readonly S3Request[];
  leftFiles: string[];
  leftProcesses: number[];
  foreignWrites: string[];
  /** Names of secret variables, or children, in whose environment a secret could be read while it trained. */
  readableSecrets: string[];
  /** Processor time of the main process. */
  cpu_s: number | null;
}

export interface TrainerRun {
  job: Job;
  door: EventDoor;
  inbox: Inbox;
  env: Record<string, string>;
  secrets: string[];
  finished: Promise<Finished>;
  /** The first event that `wanted` holds for; undefined when the trainer ended, or `limitMs` passed, without one. */
  event(wanted: (event: Received) => boolean, limitMs?: number): Promise<Received | undefined>;
  signal(name: NodeJS.Signals): void;
  writeStopReason(reason: string): void;
}

export interface Launch {
  job: Job;
  command: string[];
  env: Record<string, string>;
  sandbox: Sandbox;
  housing: Housing;
  door: EventDoor;
  s3Door: S3Door;
  secrets: string[];
  limitMs: number;
  /** Called when the process has ended, before it is looked at. */
  onExit: () => void;
}

/** What must go when we do, however we go. */
const orphans = new Set<() => void>();
process.once("exit", () => {
  for (const end of orphans) end();
});

const LOOK_EVERY_MS = 250;
const FAREWELL_MS = 250;
const ORPHAN_GRACE_MS = 300;

export function launchTrainer(launch: Launch): TrainerRun {
  const { sandbox, door, env } = launch;
  const began = Date.now();
  const housed = launch.housing.start(launch);
  const over = new AbortController();
  const exit = housed.exit.finally(() => over.abort());
  const watching = watch(launch, housed, over.signal);
  return {
    job: launch.job,
    door,
    inbox: door.inbox,
    env,
    secrets: launch.secrets,
    finished: finish(launch, housed, exit, began, watching),
    async event(wanted, limitMs = launch.limitMs) {
      const limit = AbortSignal.any([AbortSignal.timeout(limitMs), over.signal]);
      const found = await door.inbox.next(wanted, limit);
      // What it said with its last breath may still be on its way.
      return found ?? (over.signal.aborted ? door.inbox.next(wanted, AbortSignal.timeout(FAREWELL_MS)) : undefined);
    },
    signal(name) {
      housed.signal(name);
    },
    writeStopReason(reason) {
      const fresh = `${sandbox.stopReasonFile}.new`;
      writeFileSync(fresh, reason);
      renameSync(fresh, sandbox.stopReasonFile);
    },
  };
}

interface Watched {
  readableSecrets: string[];
  cpu_s: number | null;
}

/** Looks at the processes now and then; secrets count from the first progress on, when foreign code surely runs. */
async function watch(launch: Launch, housed: Housed, over: AbortSignal): Promise<Watched> {
  const readable = new Set<string>();
  let cpu_s: number | null = null;
  while (!over.aborted) {
    cpu_s = housed.cpuSeconds() ?? cpu_s;
    if (launch.door.inbox.of("progress").length > 0) {
      for (const name of readableSecrets(housed, launch.secrets)) readable.add(name);
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal: over }).catch(() => undefined);
  }
  return { readableSecrets: [...readable], cpu_s };
}

function readableSecrets(housed: Housed, secrets: string[]): string[] {
  return housed.environments().flatMap(({ process, main, block }) =>
    block
      .split("\0")
      .map(splitOnce)
      .filter(([, value]) => secrets.some((secret) => value.includes(secret)))
      .map(([name]) => (main ? name : `${name} of its process ${process}`)),
  );
}

function splitOnce(variable: string): [string, string] {
  const at = variable.indexOf("=");
  return [variable.slice(0, at), variable.slice(at + 1)];
}

async function finish(
  launch: Launch,
  housed: Housed,
  exit: Promise<Exit>,
  began: number,
  watching: Promise<Watched>,
): Promise<Finished> {
  const { sandbox, door, s3Door } = launch;
  const end = () => {
    housed.end();
    sandbox.remove();
  };
  orphans.add(end);
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    housed.end();
  }, launch.limitMs);
  const ended = await exit;
  const at = Date.now();
  clearTimeout(limit);
  launch.onExit();
  const watched = await watching;
  await sleep(ORPHAN_GRACE_MS);
  const leftProcesses = housed.processes();
  housed.end();
  const [stdout, stderr] = [readFileSync(sandbox.stdout, "utf8"), readFileSync(sandbox.stderr, "utf8")];
  await door.close();
  await s3Door.close();
  const finished: Finished = {
    exit: ended,
    began,
    ended: at,
    timedOut,
    stdout,
    stderr,
    s3: s3Door.requests,
    leftFiles: sandbox.leftovers(),
    leftProcesses,
    foreignWrites: sandbox.foreignWrites(),
    ...watched,
  };
  sandbox.remove();
  orphans.delete(end);
  return finished;
}
