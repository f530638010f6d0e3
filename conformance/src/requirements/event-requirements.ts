/** 201–219: what a trainer says, in which order, how often and how large. */
import { MAX_EVENT_BYTES } from "@vision-platform/contracts/trainer-events";
import type { Lab } from "../lab.ts";
import { isTerminal, type Received } from "../platform/inbox.ts";
import { finishedUploads } from "../platform/s3-door.ts";
import { ended, isProgress, undisturbed } from "../scenarios/trainings.ts";
import { howItEnded, type Requirement, tail, when } from "./requirement.ts";

const METRIC =
  /^(train\/loss(_[a-z0-9_]+)?|train\/lr|val\/(loss|top1|top5|mIoU|pixel_acc|OKS|bleu4|exact|mAP50(_95)?(_mask|_pose)?)|perf\/[a-z0-9_]+)$/;
/** The two step events that are let out at the very end, and the one that goes first without waiting. */
const STEP_SLACK = 4;
const HEARTBEAT_SLACK_S = 4;

function isStepEvent({ type, data }: Received): boolean {
  return type === "progress" || (type === "metrics" && data.scope === "step");
}

function epochMetrics(events: readonly Received[]): Received[] {
  return events.filter(({ type, data }) => type === "metrics" && data.scope === "epoch");
}

async function checkRate(lab: Lab): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const steps = events.filter(isStepEvent).map(({ at }) => at);
  const seconds = ((steps.at(-1) ?? 0) - (steps[0] ?? 0)) / 1000;
  const allowed = Math.ceil(2 * seconds) + STEP_SLACK;
  return when(
    steps.length > allowed,
    `${steps.length} step events in ${seconds.toFixed(1)} s, at most ${allowed} may be`,
  );
}

async function checkTerminal(lab: Lab): Promise<string[]> {
  const { events, exit, stderr } = await undisturbed(lab);
  const terminal = events.filter(({ type }) => isTerminal(type));
  return [
    ...when(terminal.length !== 1, `${terminal.length} terminal events (${howItEnded(exit)}; ${tail(stderr)})`),
    ...when(terminal.length > 0 && !isTerminal(events.at(-1)?.type ?? ""), `after it came ${events.at(-1)?.type}`),
  ];
}

async function checkUploadsFirst(lab: Lab): Promise<string[]> {
  const { events, s3 } = await undisturbed(lab);
  const said = Date.parse(events.find(({ type }) => isTerminal(type))?.ts ?? "");
  const late = s3.filter(({ method, began }) => method !== "GET" && method !== "HEAD" && began > said);
  const uploads = finishedUploads(s3);
  const last = uploads.at(-1)?.key ?? "nothing";
  return [
    ...when(late.length > 0, `after its last word it still asked for ${late[0]?.method} ${late[0]?.key}`),
    ...when(!last.endsWith("/RESULT.json"), `the last upload is ${last}, expected RESULT.json`),
  ];
}

async function checkNumbers(lab: Lab): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const wrong = events.findIndex(({ src_seq }, at) => src_seq !== at + 1);
  return when(
    wrong >= 0,
    `event ${wrong + 1} to arrive (${events[wrong]?.type}) has src_seq ${events[wrong]?.src_seq}`,
  );
}

/** Images of a step; an ingest has no steps. */
function effectiveBatch(lab: Lab): number {
  if (lab.kind === "ingest") return 0;
  const { batch_size, config } = lab.settings;
  return batch_size * Number(config.grad_accumulation ?? 1);
}

async function checkStarted(lab: Lab): Promise<string[]> {
  const [first] = (await undisturbed(lab)).events;
  if (first?.type !== "started") return [`the first event is ${first?.type ?? "none at all"}`];
  const told = first.data.effective_batch_size;
  return when(told !== effectiveBatch(lab), `effective_batch_size is ${told}`);
}

async function checkProgress(lab: Lab): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const progress = events.filter(isProgress);
  const [first, epochs] = lab.kind === "train" ? [1, lab.settings.epochs] : [0, 0];
  const back = progress.findIndex(({ data }, at) => at > 0 && data.pct < (progress[at - 1]?.data.pct ?? 0));
  const wrong = progress.find(({ data }) => data.epochs !== epochs || data.epoch < first || data.epoch > epochs);
  return [
    ...when(progress.length === 0, "there is no progress event"),
    ...when(back >= 0, `pct falls from ${progress[back - 1]?.data.pct} to ${progress[back]?.data.pct}`),
    ...when(wrong !== undefined, `of ${epochs} epochs it tells of epoch ${wrong?.data.epoch} of ${wrong?.data.epochs}`),
  ];
}

async function checkMetricNames(lab: Lab): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const values = events.flatMap(({ type, data }) =>
    type === "metrics"
      ? Object.entries(data.values ?? {})
      : type === "succeeded"
        ? Object.entries(data.metrics ?? {})
        : [],
  );
  const illegal = [...new Set(values.map(([name]) => name))].filter((name) => !METRIC.test(name));
  return when(illegal.length > 0, `not among the contract's names: ${illegal.join(", ")}`);
}

async function checkPrimaryMetric(lab: Lab): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const name = lab.trainer.manifest.tasks[lab.task]?.primary_metric ?? "";
  const epochs = epochMetrics(events).filter(({ data }) => name in (data.values ?? {}));
  const numbers = new Set(epochs.map(({ data }) => data.epoch));
  const last = events.find(({ type }) => type === "succeeded");
  return [
    ...when(numbers.size === 0, `no epoch tells ${name}`),
    ...when(last !== undefined && typeof last.data.metrics?.[name] !== "number", `succeeded does not tell ${name}`),
  ];
}

async function checkHeartbeats(lab: Lab): Promise<string[]> {
  const { events, run, began, ended: end } = await undisturbed(lab);
  const every = Number(run.env.HEARTBEAT_S);
  const beats = events.filter(({ type }) => type === "heartbeat").map(({ ts }) => Date.parse(ts));
  const expected = (end - began) / 1000 > 2 * every + 1;
  const gaps = beats.slice(1).map((at, index) => (at - (beats[index] ?? at)) / 1000);
  const longest = Math.max(0, ...gaps);
  return [
    ...when(expected && beats.length === 0, `no heartbeat in ${((end - began) / 1000).toFixed(1)} s`),
    ...when(
      longest > 3 * every + HEARTBEAT_SLACK_S,
      `${longest.toFixed(1)} s between two heartbeats (every ${every} s)`,
    ),
  ];
}

async function checkEvents(lab: Lab, problem: (event: Received) => string | null): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const found = events.flatMap((event) => {
    const wrong = problem(event);
    return wrong === null ? [] : [`${event.type} (src_seq ${event.src_seq}): ${wrong}`];
  });
  return found.slice(0, 5);
}

async function checkLearningRate(lab: Lab): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const rates = events.flatMap(({ type, data }) => (type === "metrics" ? [data.values?.["train/lr"]] : []));
  const told = rates.filter((rate): rate is number => typeof rate === "number");
  const highest = Math.max(...told);
  const asked = lab.settings.learning_rate;
  if (told.length === 0) return ["no metrics event tells train/lr"];
  const fits = highest <= asked * 1.0001 && highest >= asked * 0.05;
  return when(!fits, `LEARNING_RATE is ${asked}, and the highest train/lr is ${highest}`);
}

async function checkDivergence(lab: Lab): Promise<string[]> {
  const asked = lab.trainer.settings.diverges;
  if (!asked) return [];
  const run = await lab.start({
    name: "diverges",
    settings: { learning_rate: asked.learning_rate, config: { ...lab.settings.config, ...asked.config } },
  });
  const { exit, events, stderr } = await ended(run);
  const failed = events.find(({ type }) => type === "failed");
  const wrong = exit.code !== 10 || failed?.data.code !== "DIVERGED";
  const told = `${howItEnded(exit)} and ${failed?.data.code ?? "no failed event"}, expected exit 10 and DIVERGED`;
  const illegal = events.filter(({ problem }) => problem !== null).map(({ type, problem }) => `${type}: ${problem}`);
  return [...when(wrong, `${told}; ${tail(stderr)}`), ...illegal];
}

const OUT = "Out: events";

export const eventRequirements: Requirement[] = [
  {
    id: 201,
    sentence: "Every event is what the contract's schema says",
    section: OUT,
    core: true,
    everyTask: true,
    check: (lab) => checkEvents(lab, ({ problem }) => problem),
  },
  {
    id: 202,
    sentence: "No event is larger than 16 KiB",
    section: OUT,
    core: true,
    check: (lab) => checkEvents(lab, ({ bytes }) => (bytes > MAX_EVENT_BYTES ? `${bytes} bytes` : null)),
  },
  {
    id: 203,
    sentence: "started comes first, with the effective batch size",
    section: OUT,
    core: true,
    everyTask: true,
    check: checkStarted,
  },
  { id: 204, sentence: "src_seq counts 1, 2, 3, … without a gap", section: OUT, core: true, check: checkNumbers },
  {
    id: 205,
    sentence: "There is exactly one terminal event, and nothing after it",
    section: OUT,
    core: true,
    everyTask: true,
    check: checkTerminal,
  },
  {
    id: 206,
    sentence: "The terminal event comes after all uploads, and RESULT.json is the last of them",
    section: OUT,
    core: true,
    everyTask: true,
    check: checkUploadsFirst,
  },
  { id: 207, sentence: "No more than two step events a second", section: OUT, core: true, check: checkRate },
  {
    id: 208,
    sentence: "Progress goes forward, within the epochs that were asked for",
    section: OUT,
    core: true,
    everyTask: true,
    check: checkProgress,
  },
  {
    id: 209,
    sentence: "Metrics have the contract's names",
    section: "Metric names",
    of: "train",
    core: true,
    everyTask: true,
    check: checkMetricNames,
  },
  {
    id: 210,
    sentence: "The task's primary metric is told by epochs and by succeeded",
    section: "Metric names",
    of: "train",
    core: true,
    everyTask: true,
    check: checkPrimaryMetric,
  },
  { id: 211, sentence: "A heartbeat comes every HEARTBEAT_S", section: OUT, core: true, check: checkHeartbeats },
  {
    id: 212,
    sentence: "LEARNING_RATE arrives: train/lr never passes it, nor stays far below",
    section: "In: environment variables",
    of: "train",
    core: true,
    everyTask: true,
    check: checkLearningRate,
  },
  {
    id: 213,
    sentence: "A loss that runs away ends in exit 10, and every number told stays legal",
    section: OUT,
    of: "train",
    taskOf: ({ settings }) => settings.diverges?.task,
    unless: (lab) => (lab.trainer.settings.diverges ? null : "conformance.json names nothing that diverges"),
    check: checkDivergence,
  },
];
