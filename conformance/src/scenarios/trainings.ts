/** Jobs from beginning to end: left alone, repeated at a slow door, replaced by another attempt. */
import { http, type Lab, RUN_LIMIT_MS, type RunSpec } from "../lab.ts";
import type { CallbackDoor } from "../platform/callback-door.ts";
import type { Received } from "../platform/inbox.ts";
import { howItEnded, tail } from "../requirements/requirement.ts";
import type { Finished, TrainerRun } from "../runs/trainer-run.ts";

/** A run that is over. */
export interface Ended extends Finished {
  run: TrainerRun;
  events: readonly Received[];
  complaints: readonly string[];
}

export async function ended(run: TrainerRun): Promise<Ended> {
  const finished = await run.finished;
  return { ...finished, run, events: run.inbox.events, complaints: run.inbox.complaints };
}

export function isProgress({ type }: Received): boolean {
  return type === "progress";
}

/** Long enough that it cannot be over before it is disturbed. */
export function longWork(lab: Lab): Pick<RunSpec, "settings" | "slowStore"> {
  return lab.kind === "train" ? { settings: { epochs: lab.settings.epochs * 50 } } : { slowStore: true };
}

/** Nobody disturbs it; everything else is compared with it. Its events go to Redis, of which the core knows nothing. */
export function undisturbed(lab: Lab): Promise<Ended> {
  const door = lab.coreOnly ? "stdout" : "redis";
  return lab.once("undisturbed", async () => {
    const run = await ended(await lab.start({ name: "undisturbed", door }));
    // Nothing can be told from a training that did not happen.
    const { exit, timedOut, stderr } = run;
    const plain = `a plain ${lab.kind} job`;
    if (timedOut) throw new Error(`${plain} took more than ${RUN_LIMIT_MS / 1000} s; ${tail(stderr)}`);
    if (exit.code !== 0) throw new Error(`${plain} did not succeed (${howItEnded(exit)}); ${tail(stderr)}`);
    return run;
  });
}

/** The same settings and seed once more, to compare. */
export function again(lab: Lab): Promise<Ended> {
  if (!lab.coreOnly) return slowDoor(lab);
  return lab.once("again", async () => ended(await lab.start({ name: "again" })));
}

/** How long each answer of the slow door takes. */
export const SLOW_ANSWER_MS = 400;
export const HTTP_OUTAGE_MS = 2_000;

/** The same again, over HTTP, with a door that takes its time and is away for a while in the middle. */
export function slowDoor(lab: Lab): Promise<Ended> {
  return lab.once("slow door", async () => {
    const run = await lab.start<CallbackDoor>({ name: "slow-door", door: http });
    run.door.delayMs = SLOW_ANSWER_MS;
    if (await run.event(isProgress)) await outage(run, HTTP_OUTAGE_MS);
    return ended(run);
  });
}

/** The door does not open for a while; the trainer may end meanwhile, and must not lose its last events. */
export async function outage(run: TrainerRun, milliseconds: number): Promise<void> {
  run.door.setDown(true);
  await new Promise((over) => setTimeout(over, milliseconds));
  run.door.setDown(false);
}

export interface Replaced extends Ended {
  /** Milliseconds since 1970; null: it was over before. */
  replacedAt: number | null;
  refusedCalls: number;
}

/** Another attempt takes over: every call is answered 409 from the first progress on. */
export function replaced(lab: Lab): Promise<Replaced> {
  return lab.once("replaced", async () => {
    const whole = await undisturbed(lab);
    const run = await lab.start<CallbackDoor>({
      name: "replaced",
      door: http,
      ...longWork(lab),
      limitMs: whole.ended - whole.began + lab.grace_s * 1000 + 10_000,
    });
    if (await run.event(isProgress)) run.door.replacedAt = Date.now();
    const all = await ended(run);
    return { ...all, replacedAt: run.door.replacedAt, refusedCalls: run.door.refusedCalls };
  });
}
