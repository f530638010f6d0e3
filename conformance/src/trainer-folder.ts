/** What is tested: a folder with trainer.json, and beside it conformance.json, which says with what to test it. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { JobKind } from "@vision-platform/contracts/job-state";
import { TASK_TYPES, TaskType as Task, type TaskType } from "@vision-platform/contracts/storage-manifests";
import { TrainerManifest } from "@vision-platform/contracts/trainer-manifest";
import { ROOT, vpPaths } from "@vision-platform/laptop/paths";
import { type EnvPlan, ensureEnv, trainerEnv } from "@vision-platform/laptop/python-env";
import { z } from "zod";

/** How near a resumed training comes to one that was left alone. */
export const ResumeEquality = z.enum(["exact", "epoch", "best_effort"]);

const TaskSettings = z.strictObject({
  model: z.string().min(1),
  epochs: z.int().min(2, "two epochs or more: a resume must find something to go on with"),
  batch_size: z.int().min(1),
  learning_rate: z.number().gt(0),
  config: z.record(z.string(), z.unknown()).default({}),
  /** exact: the same bits. epoch: the same epochs, metrics within `tolerance`. best_effort: it goes on, no more. */
  resume: ResumeEquality,
  /** Two runs with the same seed have the same metrics, to the last bit. */
  deterministic: z.boolean().default(true),
  /** Largest difference of the primary metric where equality is not exact. */
  tolerance: z.number().min(0).default(0.2),
  /** The artifact with the trained weights. */
  weights: z.string().default("model.safetensors"),
  dataset: z
    .strictObject({
      train: z.int().min(2).default(48),
      val: z.int().min(1).default(12),
      size: z.int().min(16).default(32),
      digits: z
        .string()
        .regex(/^\d{2,10}$/)
        .default("0123"),
    })
    .prefault({}),
});
export type TaskSettings = z.infer<typeof TaskSettings>;

/** An upload that deploy/demo/make_upload.py draws, for a trainer that makes dataset versions of uploads. */
const UploadSettings = z.strictObject({
  format: z.string().min(1),
  count: z.int().min(4).default(60),
  size: z.int().min(16).default(64),
  digits: z
    .string()
    .regex(/^\d{2,10}$/)
    .default("0123"),
  config: z.record(z.string(), z.unknown()).default({}),
});
export type UploadSettings = z.infer<typeof UploadSettings>;

const Settings = z.strictObject({
  $schema: z.string().optional(),
  /** Of a trainer that trains. */
  tasks: z.partialRecord(Task, TaskSettings).default({}),
  /** Of a trainer that ingests, in the place of `tasks`. */
  uploads: z.partialRecord(Task, UploadSettings).default({}),
  /** Tasks that are declared but cannot be tested here, and why; the report says so. */
  not_tested: z.partialRecord(Task, z.string().min(1)).default({}),
  /** Added to `config`: asks for pretrained weights. Without any in the store the trainer must exit with 4. */
  wants_weights: z.record(z.string(), z.unknown()).optional(),
  /**
   * Added to `config`: makes the loss run away. The trainer must exit with 10, and every number must stay legal.
   * `task`: the one to ask, where not the first.
   */
  diverges: z
    .strictObject({
      task: Task.optional(),
      learning_rate: z.number(),
      config: z.record(z.string(), z.unknown()).default({}),
    })
    .optional(),
});
type Settings = z.infer<typeof Settings>;

/** The kind of job that all others are compared with. */
export type MainKind = Extract<JobKind, "train" | "ingest">;

export interface TrainerFolder {
  path: string;
  manifest: TrainerManifest;
  /** What it is for: to train or, where it does not train, to ingest. */
  kind: MainKind;
  settings: Settings;
  /** In the order of the contract; the first one is tested in depth. */
  tasks: TaskType[];
  /** The program and its arguments for a kind of job; null where the trainer does not do it. */
  command(kind: JobKind): string[] | null;
  /** Folder of the trainer's programs, first in its PATH. */
  bin: string;
  install(detail: (text: string) => void): Promise<void>;
}

/** Each environment is installed once, however many ask at the same time. */
const installing = new Map<string, Promise<void>>();

/** A trainer that cannot be tested, and why: one sentence that names the file and the fix. */
export class Untestable extends Error {}

export function readTrainerFolder(given: string): TrainerFolder {
  if (given === "") throw new Untestable("name the folder that holds trainer.json, such as trainers/timm");
  const path = resolve(given);
  if (!existsSync(path) || !statSync(path).isDirectory()) {
    throw new Untestable(`${given} is no folder: name the folder that holds trainer.json`);
  }
  const manifest = readJson(join(path, "trainer.json"), TrainerManifest, "a manifest (docs/trainer-guide.md)");
  const settings = readJson(join(path, "conformance.json"), Settings, "what to test with (docs/trainer-guide.md)");
  const kind = manifest.kinds.train ? "train" : "ingest";
  const about = kind === "train" ? settings.tasks : settings.uploads;
  const tasks = TASK_TYPES.filter((task) => about[task]);
  const declared = Object.keys(manifest.tasks);
  const named = [...tasks, ...Object.keys(settings.not_tested)] as string[];
  const untested = declared.filter((task) => !named.includes(task));
  const undeclared = named.filter((task) => !declared.includes(task));
  if (tasks.length === 0 || untested.length + undeclared.length > 0) {
    const different = [...untested, ...undeclared].join(", ") || declared.join(", ");
    throw new Untestable(`conformance.json and trainer.json must name the same tasks; they differ in: ${different}`);
  }
  const plan = environmentPlan(path, manifest);
  const bin = join(plan?.path ?? join(vpPaths().envs, manifest.framework), "bin");
  return {
    path,
    manifest,
    kind,
    settings,
    tasks,
    bin,
    command(kind) {
      const [program = "", ...args] = manifest.kinds[kind]?.command ?? [];
      if (program === "") return null;
      if (program === "python") return [join(bin, "python"), ...args];
      return [program.startsWith(".") ? resolve(path, program) : program, ...args];
    },
    async install(detail) {
      if (!plan) return;
      const running = installing.get(plan.path) ?? ensureEnv(plan, detail);
      installing.set(plan.path, running);
      await running;
    },
  };
}

/** As ./vp up installs it; for a folder elsewhere the kit comes from this checkout. null: it needs no environment. */
function environmentPlan(path: string, manifest: TrainerManifest): EnvPlan | null {
  const project = existsSync(join(path, "pyproject.toml"));
  if (project && existsSync(join(path, "../sdk/pyproject.toml"))) return trainerEnv(path);
  const lock = join(path, manifest.environment?.lock ?? "requirements.lock");
  if (!existsSync(lock)) return null;
  const editable = project ? [join(ROOT, "trainers/sdk"), path] : [];
  // A name of its own: a copy of timm elsewhere must not replace the environment that this checkout's timm runs in.
  return { name: basename(path), path: join(vpPaths().envs, `conformance-${manifest.framework}`), lock, editable };
}

function readJson<Schema extends z.ZodType>(file: string, schema: Schema, meaning: string): z.infer<Schema> {
  if (!existsSync(file)) throw new Untestable(`${file} is missing: it is ${meaning}`);
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Untestable(`${file} is no JSON: ${String(error)}`);
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Untestable(`${file}: ${issue?.path.join(".") || "it"}: ${issue?.message}`);
}
