/** Jobs that are stopped on the way, and one that goes on afterwards. */

import { checkpointsPrefix } from "@vision-platform/contracts/names";
import { CheckpointPointer } from "@vision-platform/contracts/storage-manifests";
import type { Lab } from "../lab.ts";
import type { Received } from "../platform/inbox.ts";
import type { TrainerRun } from "../runs/trainer-run.ts";
import { plantDamage, plantTornVersion } from "./damage.ts";
import { type Ended, ended, isProgress, longWork, outage, undisturbed } from "./trainings.ts";

export const REDIS_OUTAGE_MS = 5_000;
const TRIES = 3;
/** A trainer that is told to stop in its last step may as well succeed; one that works on for longer did not listen. */
const LAST_STEP_MS = 1_500;

/** For runs that would not end by themselves: start-up, the way to the first step, the grace. */
function stopLimitMs(lab: Lab, whole: Ended): number {
  return whole.ended - whole.began + lab.grace_s * 1000 + 5_000;
}

export interface Interrupted {
  first: Ended;
  /** Milliseconds since 1970; null: it was over before. */
  asked: { checkpoint: number; stop: number | null };
  /** What last.json named when the first attempt had ended; null: there was none. */
  pointer: CheckpointPointer | null;
}

function endOfEpoch({ type, data }: Received): boolean {
  return type === "metrics" && data.scope === "epoch";
}

function isUploading({ type, data }: Received): boolean {
  return type === "phase" && data.name === "uploading";
}

/**
 * SIGUSR1 at the first progress; SIGTERM at a random moment between the end of the first epoch and that of the last,
 * or while an ingest uploads.
 */
export function interrupted(lab: Lab): Promise<Interrupted> {
  return lab.once("interrupted", async () => {
    const whole = await undisturbed(lab);
    const ends = whole.events.filter(midway(lab)).map((event) => Date.parse(event.ts));
    const [from = 0, to = 0] = [ends.at(0), ends.at(-1)];
    for (let share = 0.1 + Math.random() * 0.5, tries = 1; ; share /= 3, tries += 1) {
      const found = await interruptOnce(lab, share * (to - from));
      if (found.asked.stop !== null || tries === TRIES) return found;
    }
  });
}

/** Where a job of this trainer has done something, and not all. */
function midway(lab: Lab): (event: Received) => boolean {
  return lab.kind === "train" ? endOfEpoch : isUploading;
}

async function interruptOnce(lab: Lab, delay: number): Promise<Interrupted> {
  const run = await lab.start({ name: "interrupted", slowStore: lab.kind === "ingest" });
  await run.event(isProgress);
  const checkpoint = Date.now();
  run.signal("SIGUSR1");
  let stop: number | null = null;
  if (await run.event(midway(lab))) {
    await new Promise((over) => setTimeout(over, delay));
    if (!run.inbox.terminal()) {
      stop = Date.now();
      run.signal("SIGTERM");
    }
  }
  const first = await ended(run);
  if (stop !== null && run.inbox.terminal()?.type === "succeeded" && worked(lab, first) - stop < LAST_STEP_MS)
    stop = null;
  const content = await lab.objects.get(`${checkpointsPrefix(run.job.job_id)}last.json`);
  return { first, asked: { checkpoint, stop }, pointer: readPointer(content) };
}

/** When it was done with what it may be stopped in, milliseconds since 1970: the uploads of a training take what they take. */
function worked(lab: Lab, { events, ended }: Ended): number {
  const last = lab.kind === "train" ? events.findLast(endOfEpoch) : undefined;
  return last === undefined ? ended : Date.parse(last.ts);
}

function readPointer(content: Buffer | null): CheckpointPointer | null {
  try {
    return CheckpointPointer.parse(JSON.parse(String(content)));
  } catch {
    return null;
  }
}

/**
 * The same job again, after damage was laid in its way; Redis is away for five seconds from the first progress on.
 * null: a training that has no checkpoint to go on from.
 */
export function resumed(lab: Lab): Promise<Ended | null> {
  return lab.once("resumed", async () => {
    const { first, pointer } = await interrupted(lab);
    const { job_id } = first.run.job;
    if (lab.kind === "ingest") await plantTornVersion(lab.objects, lab.objects.key(first.run.job.dataset_uri) ?? "");
    else if (pointer === null) return null;
    else await plantDamage(lab.objects, job_id, pointer);
    const changes = pointer === null ? {} : { RESUME_URI: lab.objects.uri(checkpointsPrefix(job_id)) };
    const door = lab.coreOnly ? "stdout" : "redis";
    const run = await lab.start({ name: "resumed", job_id, attempt: 2, door, changes });
    if (!lab.coreOnly && (await run.event(isProgress))) await outage(run, REDIS_OUTAGE_MS);
    return ended(run);
  });
}

/** Its own clock ends it, some time after its first step. */
export function timeLimit(lab: Lab): Promise<Ended> {
  return lab.once("time limit", async () => {
    const whole = await undisturbed(lab);
    const first = whole.events.find(isProgress)?.at ?? whole.ended;
    // Some way into training, also when the machine is busier than it was. A slow store is not slow for so long.
    const share = lab.kind === "train" ? 2 : 1;
    const limit = ((share * (first - whole.began)) / 1000 + 1).toFixed(1);
    const changes = { MAX_RUNTIME_S: limit };
    return ended(await lab.start({ name: "time-limit", ...longWork(lab), changes, limitMs: stopLimitMs(lab, whole) }));
  });
}

export interface Stopped extends Ended {
  /** Milliseconds since 1970. */
  asked: number;
}

async function stopped(run: TrainerRun, when: (event: Received) => boolean, again: boolean): Promise<Stopped> {
  await run.event(when);
  run.signal("SIGTERM");
  if (again) {
    await new Promise((over) => setTimeout(over, 20));
    run.signal("SIGTERM");
  }
  const asked = Date.now();
  return { ...(await ended(run)), asked };
}

/** Asked to make room before it has trained a step. */
export function preemptedEarly(lab: Lab): Promise<Stopped> {
  return lab.once("preempted early", async () => {
    const limitMs = stopLimitMs(lab, await undisturbed(lab));
    const run = await lab.start({ name: "preempted-early", ...longWork(lab), limitMs });
    run.writeStopReason("preempted");
    return stopped(run, ({ type }) => type === "started", false);
  });
}

/** Two SIGTERM in a row. */
export function stoppedTwice(lab: Lab): Promise<Stopped> {
  return lab.once("stopped twice", async () => {
    const limitMs = stopLimitMs(lab, await undisturbed(lab));
    const run = await lab.start({ name: "stopped-twice", ...longWork(lab), limitMs });
    return stopped(run, isProgress, true);
  });
}
