/** 501–519: signals, the clock, and exit codes. */
import { FAILURES } from "@vision-platform/contracts/failure-codes";
import type { Lab } from "../lab.ts";
import { isTerminal } from "../platform/inbox.ts";
import { interrupted, preemptedEarly, resumed, stoppedTwice, timeLimit } from "../scenarios/interruptions.ts";
import { type Ended, isProgress, undisturbed } from "../scenarios/trainings.ts";
import { howItEnded, type Requirement, tail, when } from "./requirement.ts";

const SIGNALS = "Signals";
const AT_ONCE_S = 3;

const STOPPED: Record<string, number> = {
  cancelled: FAILURES.CANCELLED.exit_code,
  preempted: FAILURES.PREEMPTED.exit_code,
  timeout: FAILURES.TIME_LIMIT.exit_code,
};

/** The exit code that goes with an ending's last event. */
function codeOf({ events }: Ended): number | undefined {
  const last = events.find(({ type }) => isTerminal(type));
  if (last?.type === "succeeded") return 0;
  if (last?.type === "stopped") return STOPPED[last.data.reason];
  const failure = FAILURES[last?.data.code as keyof typeof FAILURES] as { exit_code?: number } | undefined;
  return failure?.exit_code;
}

async function checkExitCodes(lab: Lab): Promise<string[]> {
  const runs = [await undisturbed(lab), (await interrupted(lab)).first, await resumed(lab)];
  return runs
    .filter((run) => run !== null)
    .flatMap((run) => {
      const last = run.events.find(({ type }) => isTerminal(type))?.type ?? "no terminal event";
      return when(run.exit.code !== codeOf(run), `${howItEnded(run.exit)} after ${last}, expected ${codeOf(run)}`);
    });
}

/** `stopped` with this reason and its exit code, and a checkpoint to go on from where there must be one. */
function stoppedRight(run: Ended, reason: string, mustResume: boolean): string[] {
  const last = run.events.find(({ type }) => isTerminal(type));
  const told = last?.type === "stopped" ? `stopped (${last.data.reason})` : (last?.type ?? "nothing");
  const right = last?.type === "stopped" && last.data.reason === reason && run.exit.code === STOPPED[reason];
  const expected = `stopped (${reason}) and exit ${STOPPED[reason]}`;
  return [
    ...when(run.timedOut, "it did not end within its grace"),
    ...when(!right, `it said ${told}, ${howItEnded(run.exit)}; expected ${expected}; ${tail(run.stderr)}`),
    ...when(right && mustResume && !last.data.resume_uri, "it names no resume_uri"),
  ];
}

async function checkCancel(lab: Lab): Promise<string[]> {
  const { first, asked } = await interrupted(lab);
  if (asked.stop === null) return ["it was over before it could be stopped: raise epochs in conformance.json"];
  const seconds = (first.ended - asked.stop) / 1000;
  const grace = Number(first.run.env.GRACE_S);
  return [
    ...stoppedRight(first, "cancelled", lab.kind === "train"),
    ...when(seconds > grace, `it took ${seconds.toFixed(1)} s, GRACE_S is ${grace}`),
  ];
}

async function checkCheckpointNow(lab: Lab): Promise<string[]> {
  const { first, asked } = await interrupted(lab);
  const until = asked.stop ?? first.ended;
  // The last one after the stop is the stop's own; an earlier one may have been on its way while the stop came.
  const ofStop = first.events.findLast(({ type, at }) => type === "checkpoint" && at > until);
  const later = first.events.filter((event) => event.at >= asked.checkpoint && event !== ofStop);
  const epoch = later.findIndex(({ type, data }) => type === "metrics" && data.scope === "epoch");
  const whole = await undisturbed(lab);
  const usual = new Set(whole.events.filter(({ type }) => type === "checkpoint").map(({ data }) => data.step));
  // A checkpoint that it would have saved anyway, at the end of an epoch, is no answer.
  const saved = later.find(
    ({ type, data }, at) =>
      type === "checkpoint" && (data.kind === "periodic" || !usual.has(data.step) || epoch < 0 || at < epoch),
  );
  const went = first.events.filter((event) => isProgress(event) || event.type === "metrics").at(-1)?.at ?? 0;
  return [
    ...when(first.exit.signal === "SIGUSR1", "SIGUSR1 ended it"),
    ...when(saved === undefined, "no checkpoint came after SIGUSR1"),
    ...when(went <= asked.checkpoint && until > asked.checkpoint + 1_000, "it did not go on after SIGUSR1"),
  ];
}

export const signalRequirements: Requirement[] = [
  {
    id: 501,
    sentence: "The exit code is that of the terminal event",
    section: "Exit codes",
    core: true,
    everyTask: true,
    check: checkExitCodes,
  },
  {
    id: 502,
    sentence: "SIGTERM: it saves, says stopped (cancelled) and ends with exit 20 within GRACE_S",
    section: SIGNALS,
    core: true,
    check: checkCancel,
  },
  {
    id: 503,
    sentence: "SIGTERM before the first step, to make room: stopped (preempted) and exit 21",
    section: SIGNALS,
    check: async (lab) => stoppedRight(await preemptedEarly(lab), "preempted", false),
  },
  {
    id: 504,
    sentence: "A second SIGTERM ends it at once",
    section: SIGNALS,
    check: async (lab) => {
      const seen = await stoppedTwice(lab);
      const seconds = (seen.ended - seen.asked) / 1000;
      return when(seen.timedOut || seconds > AT_ONCE_S, `it took ${seconds.toFixed(1)} s, at most ${AT_ONCE_S} s`);
    },
  },
  {
    id: 505,
    sentence: "SIGUSR1: it saves a checkpoint and goes on",
    section: SIGNALS,
    of: "train",
    core: true,
    check: checkCheckpointNow,
  },
  {
    id: 506,
    sentence: "After MAX_RUNTIME_S it saves, says stopped (timeout) and ends with exit 22",
    section: "Exit codes",
    core: true,
    check: async (lab) => {
      const seen = await timeLimit(lab);
      return stoppedRight(seen, "timeout", lab.kind === "train" && seen.events.some(isProgress));
    },
  },
];
