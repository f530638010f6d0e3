/** 301–319: the three doors, and what happens when one is slow, away or closed for good. */
import type { Lab } from "../lab.ts";
import { isTerminal, type Received } from "../platform/inbox.ts";
import { isWrite } from "../platform/s3-door.ts";
import { interrupted, REDIS_OUTAGE_MS, resumed } from "../scenarios/interruptions.ts";
import { type Ended, replaced, SLOW_ANSWER_MS, slowDoor, undisturbed } from "../scenarios/trainings.ts";
import { howItEnded, type Requirement, tail, when } from "./requirement.ts";

/** An upload that had begun may end; nothing new may follow. */
const REPLACED_SLACK_MS = 2_000;

function arrivedWhole({ events, exit, stderr }: Ended): string[] {
  const gap = events.findIndex(({ src_seq }, at) => src_seq !== at + 1);
  return [
    ...when(exit.code !== 0, `${howItEnded(exit)}; ${tail(stderr)}`),
    ...when(gap >= 0, `event ${gap + 1} to arrive has src_seq ${events[gap]?.src_seq}`),
    ...when(!isTerminal(events.at(-1)?.type ?? ""), `the last event to arrive is ${events.at(-1)?.type ?? "none"}`),
  ];
}

/** Seconds of work by the trainer's own clock: from its first progress to the end of its last epoch, or to its end. */
function workingSeconds(events: readonly Received[]): number {
  const first = events.find(({ type }) => type === "progress");
  const epochs = events.filter(({ type, data }) => type === "metrics" && data.scope === "epoch");
  const last = epochs.at(-1) ?? events.at(-1);
  return first && last ? (Date.parse(last.ts) - Date.parse(first.ts)) / 1000 : 0;
}

/** What publishing costs: the same training at a door that answers at once, and at one that takes its time. */
async function publishingCost(lab: Lab): Promise<{ quick_s: number; slow_s: number; events: number }> {
  const [quick, slow] = await Promise.all([undisturbed(lab), slowDoor(lab)]);
  return {
    quick_s: workingSeconds(quick.events),
    slow_s: workingSeconds(slow.events),
    events: slow.events.length,
  };
}

async function checkCost(lab: Lab): Promise<string[]> {
  const { quick_s, slow_s, events } = await publishingCost(lab);
  // A loop that waits for each answer loses this much; a busy machine must not look like one.
  const waited = (events * SLOW_ANSWER_MS) / 1000;
  const allowed = Math.max(2 * quick_s + 1, quick_s + waited / 3);
  const told = `with answers after ${SLOW_ANSWER_MS} ms it trained ${slow_s.toFixed(1)} s instead of ${quick_s.toFixed(1)} s`;
  return when(slow_s > allowed, `${told}: the loop waits for its events`);
}

async function checkReplaced(lab: Lab): Promise<string[]> {
  const seen = await replaced(lab);
  if (seen.replacedAt === null) return ["it was over before another attempt could take over"];
  const at = seen.replacedAt;
  const late = seen.s3.filter((request) => isWrite(request) && request.began > at + REPLACED_SLACK_MS);
  const seconds = (seen.ended - at) / 1000;
  return [
    ...when(seen.timedOut || seconds > lab.grace_s + 5, `it went on for ${seconds.toFixed(0)} s after the answer 409`),
    ...when(seen.exit.code === 0, "it ended with exit 0, as if the job were its own"),
    ...when(late.length > 0, `after the answer 409 it still wrote ${late[0]?.key}`),
    ...when(seen.refusedCalls === 0, "it never asked again"),
  ];
}

async function checkRedisAway(lab: Lab): Promise<string[]> {
  const seen = await resumed(lab);
  if (!seen) return ["there was no checkpoint to go on from (see 404)"];
  const away = `Redis was away for ${REDIS_OUTAGE_MS / 1000} s: `;
  return arrivedWhole(seen).map((wrong) => away + wrong);
}

export const doorRequirements: Requirement[] = [
  {
    id: 301,
    sentence: "EVENTS_MODE=stdout: one line an event, with the prefix @event",
    section: "Out: events",
    core: true,
    check: async (lab) => {
      const { first } = await interrupted(lab);
      return [...when(first.events.length === 0, "no line with the prefix @event"), ...first.complaints];
    },
  },
  {
    id: 302,
    sentence: "EVENTS_MODE=redis: one XADD an event, its id <src_seq>-0, by a user who may do nothing else",
    section: "Out: events",
    check: async (lab) => {
      const seen = await undisturbed(lab);
      return [...arrivedWhole(seen), ...seen.complaints];
    },
  },
  {
    id: 303,
    sentence: "Redis is away for five seconds: training goes on, and no event is lost",
    section: "Out: events",
    check: checkRedisAway,
  },
  {
    id: 304,
    sentence: "EVENTS_MODE=http: numbered events to /event, the terminal one to /done, with the token",
    section: "Out: events",
    check: async (lab) => {
      const seen = await slowDoor(lab);
      return [...arrivedWhole(seen), ...seen.complaints];
    },
  },
  {
    id: 305,
    sentence: "The answer 409 means that another attempt has taken over: it stops and writes nothing more",
    section: "Out: events",
    check: checkReplaced,
  },
  {
    id: 306,
    sentence: "A slow door does not slow training",
    section: "Out: events",
    check: checkCost,
    figure: async (lab) => {
      const { quick_s, slow_s, events } = await publishingCost(lab);
      const slow = `${slow_s.toFixed(2)} s at one that answers after ${SLOW_ANSWER_MS} ms`;
      return `${quick_s.toFixed(2)} s of training at a quick door, ${slow} (${events} events)`;
    },
  },
];
