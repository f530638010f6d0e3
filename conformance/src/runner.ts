/** Asks every requirement of every task of a trainer, and tells what came of it. */
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { type Lab, openLab } from "./lab.ts";
import { type Servers, startServers } from "./platform/servers.ts";
import type { Requirement } from "./requirements/requirement.ts";
import { REQUIREMENTS } from "./requirements/table.ts";
import type { Housing } from "./runs/housing.ts";
import { createSlots, type Slots } from "./runs/slots.ts";
import { readTrainer } from "./trainer.ts";
import { type TrainerFolder, Untestable } from "./trainer-folder.ts";

export interface Verdict {
  id: number;
  task: TaskType;
  sentence: string;
  section: string;
  result: "pass" | "fail" | "not asked";
  /** Why it failed, or was not asked. */
  reasons: string[];
  /** What was measured, where people want to see it. */
  figure?: string;
  seconds: number;
}

export interface Asked {
  /** Requirement numbers; all when empty. */
  only?: readonly number[];
  core?: boolean;
  /** One task instead of all. */
  task?: string;
  /** Trainers at once. */
  jobs?: number;
  /** GRACE_S: how long an end may take. */
  grace_s?: number;
  /** Added to the config of every training: what a script trainer should do wrong. */
  config?: Record<string, unknown>;
  onVerdict?: (verdict: Verdict) => void;
  onDetail?: (text: string) => void;
}

const DEFAULT_JOBS = 2;
const GRACE_S = 30;

/** Throws Untestable when there is nothing that could be asked. */
export async function testTrainer(path: string, asked: Asked = {}): Promise<Verdict[]> {
  const { trainer: read, openHousing } = readTrainer(path);
  const trainer = withConfig(read, asked.config ?? {});
  const tasks = trainer.tasks.filter((task) => !asked.task || task === asked.task);
  if (tasks.length === 0)
    throw new Untestable(`--task: found ${asked.task}, expected one of ${trainer.tasks.join(", ")}`);
  const unknown = (asked.only ?? []).filter((id) => !REQUIREMENTS.some((each) => each.id === id));
  if (unknown.length > 0) throw new Untestable(`--only: there is no requirement ${unknown.join(", ")}`);
  await trainer.install(asked.onDetail ?? (() => undefined));
  const servers = await startServers();
  const housing = openHousing();
  try {
    const slots = createSlots(asked.jobs ?? DEFAULT_JOBS);
    const verdicts = notTested(trainer, asked);
    for (const [number, task] of tasks.entries()) {
      verdicts.push(...(await testTask(trainer, task, number === 0, { servers, housing, slots }, asked)));
    }
    return verdicts;
  } finally {
    housing.close();
    await servers.stop();
  }
}

/** A line of the report for each task that conformance.json leaves out. */
function notTested(trainer: TrainerFolder, asked: Asked): Verdict[] {
  const left = Object.entries(trainer.settings.not_tested) as [TaskType, string][];
  const sentence = "This task was not tested";
  return asked.task || asked.only?.length
    ? []
    : left.map(([task, reason]) => {
        return { id: 0, task, sentence, section: "", result: "not asked", reasons: [`${task}: ${reason}`], seconds: 0 };
      });
}

function withConfig(trainer: TrainerFolder, config: Record<string, unknown>): TrainerFolder {
  const { tasks, uploads } = trainer.settings;
  const added = { tasks: withEach(tasks, config), uploads: withEach(uploads, config) };
  return { ...trainer, settings: { ...trainer.settings, ...added } };
}

function withEach<Settings extends { config: object }>(
  all: Partial<Record<TaskType, Settings>>,
  config: object,
): Partial<Record<TaskType, Settings>> {
  const each = Object.entries(all).map(([task, about]) => [task, { ...about, config: { ...about.config, ...config } }]);
  return Object.fromEntries(each);
}

async function testTask(
  trainer: TrainerFolder,
  task: TaskType,
  first: boolean,
  shared: { servers: Servers; housing: Housing; slots: Slots },
  asked: Asked,
): Promise<Verdict[]> {
  const lab = await openLab({
    trainer,
    task,
    ...shared,
    coreOnly: asked.core ?? false,
    grace_s: asked.grace_s ?? GRACE_S,
  });
  const named = asked.only ?? [];
  const isFor = (requirement: Requirement) => {
    const own = requirement.taskOf?.(trainer);
    if (own !== undefined) return own === task;
    // That it makes no sense of this trainer need be said once.
    return first || (requirement.everyTask && declaredNot(trainer, requirement) === null);
  };
  const wanted = REQUIREMENTS.filter(
    (each) => isFor(each) && (named.length > 0 ? named.includes(each.id) : !asked.core || each.core),
  );
  try {
    return await Promise.all(
      wanted.map(async (each) => {
        const verdict = await judgeOne(lab, each);
        asked.onVerdict?.(verdict);
        return verdict;
      }),
    );
  } finally {
    lab.close();
  }
}

/** Why nothing of the sort can be asked of this trainer; null when it can. */
function declaredNot(trainer: TrainerFolder, { of }: Requirement): string | null {
  return of === undefined || of === trainer.kind ? null : `trainer.json declares no ${of}`;
}

async function judgeOne(lab: Lab, requirement: Requirement): Promise<Verdict> {
  const { id, sentence, section } = requirement;
  const began = Date.now();
  const done = (result: Verdict["result"], reasons: string[]): Verdict => {
    const seconds = Math.round((Date.now() - began) / 100) / 10;
    return { id, task: lab.task, sentence, section, result, reasons, seconds };
  };
  const reason = declaredNot(lab.trainer, requirement) ?? requirement.unless?.(lab) ?? null;
  if (reason !== null) return done("not asked", [reason]);
  try {
    const found = await requirement.check(lab);
    const verdict = done(found.length === 0 ? "pass" : "fail", found);
    return requirement.figure ? { ...verdict, figure: await requirement.figure(lab) } : verdict;
  } catch (error) {
    return done("fail", [`it could not be seen: ${error instanceof Error ? error.message : String(error)}`]);
  }
}
