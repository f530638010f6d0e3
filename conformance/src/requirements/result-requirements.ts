/** 701–729: what a job leaves: artifacts, results, reports. */
import { isDeepStrictEqual } from "node:util";
import type { JobKind } from "@vision-platform/contracts/job-state";
import { jobPrefix, resultKey } from "@vision-platform/contracts/names";
import {
  EvaluationReport,
  ExportReport,
  Prediction,
  TrainerResult,
} from "@vision-platform/contracts/storage-manifests";
import type { z } from "zod";
import type { Lab } from "../lab.ts";
import { manifestOf } from "../platform/datasets.ts";
import { sha256 } from "../platform/objects.ts";
import { derived, modelUri, predictImages } from "../scenarios/derived.ts";
import { judge, refusal } from "../scenarios/refusals.ts";
import { again, type Ended, undisturbed } from "../scenarios/trainings.ts";
import { differences } from "./checkpoint-requirements.ts";
import { howItEnded, type Requirement, tail, when } from "./requirement.ts";

const STORAGE = "Storage under OUTPUT_URI";
/** How far a figure may be from itself when it is measured again in other batches. */
const MEASURED_AGAIN = 1e-4;

type Artifact = { name: string; uri: string; sha256: string; bytes: number };

function artifactsOf({ events }: Ended): Artifact[] {
  return events.find(({ type }) => type === "succeeded")?.data.artifacts ?? [];
}

/** The content of the artifact of this name, with or without a folder before it. */
async function artifact(lab: Lab, run: Ended, name: string): Promise<Buffer | null> {
  const listed = artifactsOf(run).find((each) => each.name === name || each.name.endsWith(`/${name}`));
  const key = listed ? lab.objects.key(listed.uri) : null;
  return key === null ? null : lab.objects.get(key);
}

function succeeded(run: Ended): string[] {
  return when(run.exit.code !== 0, `${howItEnded(run.exit)}; ${tail(run.stderr)}`);
}

async function checkArtifacts(lab: Lab): Promise<string[]> {
  const run = await undisturbed(lab);
  const found = when(artifactsOf(run).length === 0, "succeeded names no artifact");
  for (const { name, uri, sha256: hash, bytes } of artifactsOf(run)) {
    const content = await lab.objects.get(lab.objects.key(uri) ?? "");
    if (!content) found.push(`${name} is not at ${uri}`);
    else if (content.length !== bytes) found.push(`${name} has ${content.length} bytes, not ${bytes}`);
    else if (sha256(content) !== hash) found.push(`${name} has another hash than it says`);
  }
  const names = artifactsOf(run).map(({ name }) => name);
  return [...found, ...when(!names.includes(lab.settings.weights), `there is no ${lab.settings.weights}`)];
}

async function checkResult(lab: Lab): Promise<string[]> {
  const run = await undisturbed(lab);
  const content = await lab.objects.get(resultKey(run.run.job.job_id));
  const result = content ? parse(TrainerResult, content.toString()) : "is not there";
  if (typeof result === "string") return [`RESULT.json ${result}`];
  const told = run.events.find(({ type }) => type === "succeeded");
  const { job_id, attempt, kind } = run.run.job;
  const same = isDeepStrictEqual({ ...result.metrics }, { ...told?.data.metrics });
  const right = result.job_id === job_id && result.attempt === attempt && result.kind === kind;
  return [
    ...when(!right || result.status !== "succeeded", "RESULT.json is of another job, attempt, kind or status"),
    ...when(!same, "RESULT.json and succeeded tell different metrics"),
  ];
}

async function checkRecords(lab: Lab): Promise<string[]> {
  const { run } = await undisturbed(lab);
  const prefix = jobPrefix(run.job.job_id);
  const keys = await lab.objects.list(prefix);
  const missing = ["config.json", "env.json", "metrics.jsonl"].filter((name) => !keys.includes(prefix + name));
  return when(missing.length > 0, `${missing.join(", ")} is missing`);
}

async function checkSeed(lab: Lab): Promise<string[]> {
  const [one, other] = await Promise.all([undisturbed(lab), again(lab)]);
  return differences(lab, one.events, other.events);
}

/** What the schema says against it, or the parsed content. */
function parse<Schema extends z.ZodType>(schema: Schema, text: string): z.infer<Schema> | string {
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    return `does not conform: ${issue?.path.join(".")}: ${issue?.message}`;
  } catch {
    return "is no JSON";
  }
}

async function checkEvaluate(lab: Lab): Promise<string[]> {
  const run = await derived(lab, "evaluate");
  if (run.exit.code !== 0) return succeeded(run);
  const content = await artifact(lab, run, "evaluation.json");
  const report = content ? parse(EvaluationReport, content.toString()) : "is not among the artifacts";
  if (typeof report === "string") return [`evaluation.json ${report}`];
  const trained = await undisturbed(lab);
  const best = trained.events.find(({ type }) => type === "succeeded")?.data.metrics ?? {};
  const name = lab.trainer.manifest.tasks[lab.task]?.primary_metric ?? "";
  const difference = Math.abs((report.metrics[name] ?? Number.NaN) - best[name]);
  const classes = manifestOf(lab.files).classes;
  return [
    ...when(report.task_type !== lab.task, `it is a report on ${report.task_type}`),
    ...when(
      report.samples !== lab.settings.dataset.val,
      `${report.samples} samples, val has ${lab.settings.dataset.val}`,
    ),
    ...when(report.per_class.length !== classes.length, `${report.per_class.length} of ${classes.length} classes`),
    ...when(!(difference <= MEASURED_AGAIN), `${name} is ${report.metrics[name]}, training told ${best[name]}`),
  ];
}

async function predictions(lab: Lab, run: Ended): Promise<Prediction[] | string> {
  const content = await artifact(lab, run, "predictions.jsonl");
  if (!content) return "predictions.jsonl is not among the artifacts";
  const lines = content
    .toString()
    .split("\n")
    .filter((line) => line !== "");
  const found: Prediction[] = [];
  for (const [at, line] of lines.entries()) {
    const parsed = parse(Prediction, line);
    if (typeof parsed === "string") return `line ${at + 1} of predictions.jsonl ${parsed}`;
    found.push(parsed);
  }
  return found;
}

/** The field of a prediction that belongs to the task. */
const ANSWER = {
  image_classification: "labels",
  object_detection: "objects",
  instance_segmentation: "objects",
  pose_estimation: "objects",
  semantic_segmentation: "mask",
  image_captioning: "caption",
} as const;

async function checkPredict(lab: Lab): Promise<string[]> {
  const found: string[] = [];
  const given = await predictImages(lab);
  const runs: [Ended, number, string][] = [
    [await derived(lab, "predict"), lab.settings.dataset.val, "a split"],
    [given, given.images.length, "given images"],
  ];
  for (const [run, expected, what] of runs) {
    const lines = run.exit.code === 0 ? await predictions(lab, run) : (succeeded(run)[0] ?? "");
    if (typeof lines === "string") {
      found.push(`${what}: ${lines}`);
      continue;
    }
    const answered = lines.filter((line) => line[ANSWER[lab.task]] !== undefined);
    found.push(
      ...when(lines.length !== expected, `${what}: ${lines.length} predictions for ${expected} images`),
      ...when(answered.length < lines.length, `${what}: a prediction has no ${ANSWER[lab.task]}`),
    );
    if (what === "given images") {
      const named = lines.map(({ image }) => image).join(" ");
      found.push(...when(named !== given.images.join(" "), `${what}: they are called ${named}`));
    }
  }
  return found;
}

async function checkExport(lab: Lab): Promise<string[]> {
  const run = await derived(lab, "export");
  if (run.exit.code !== 0) return succeeded(run);
  const names = artifactsOf(run).map(({ uri }) => uri.split("/").at(-1) ?? "");
  const missing = ["labels.json", "preprocessing.json", "export.json"].filter((name) => !names.includes(name));
  const content = await artifact(lab, run, "export.json");
  const report = content ? parse(ExportReport, content.toString()) : "is not among the artifacts";
  if (typeof report === "string") return [`export.json ${report}`];
  const { max_abs_diff, tolerance } = report.parity;
  return [
    ...when(missing.length > 0, `${missing.join(", ")} is missing`),
    ...when(!names.includes(report.artifact.split("/").at(-1) ?? ""), `the artifact ${report.artifact} is missing`),
    ...when(!(max_abs_diff <= tolerance), `the exported model differs by ${max_abs_diff}, tolerance ${tolerance}`),
  ];
}

/** A derived job without a model, with a model that is not there, and with the model of another. */
async function checkForeignModels(lab: Lab): Promise<string[]> {
  const kind =
    (["evaluate", "predict", "export"] as const).find((each) => lab.trainer.manifest.kinds[each]) ?? "evaluate";
  const MODEL_URI = await modelUri(lab);
  const nowhere = lab.objects.uri(`${jobPrefix(lab.newJobId())}checkpoints/best.json`);
  const cases = [
    { name: "MODEL_URI missing", changes: {}, exit: 2, code: "BAD_CONFIG" },
    { name: "MODEL_URI: not there", changes: { MODEL_URI: nowhere }, exit: 4, code: "MODEL_UNAVAILABLE" },
    {
      name: "MODEL_URI of another model",
      changes: { MODEL_URI, MODEL_NAME: `${lab.settings.model}_of_another_name` },
      exit: 2,
      code: "BAD_CONFIG",
    },
  ];
  const found = await Promise.all(
    cases.map(async ({ name, changes, exit, code }) =>
      judge(name, await refusal(lab, { name, kind, changes }), { exit, code, names: ["MODEL_URI", "MODEL_NAME"] }),
    ),
  );
  return found.flat();
}

/** Why this kind of job cannot be asked for. */
function without(kind: JobKind): (lab: Lab) => string | null {
  return (lab) => (lab.trainer.manifest.kinds[kind] ? null : `trainer.json declares no ${kind}`);
}

export const resultRequirements: Requirement[] = [
  {
    id: 701,
    sentence: "Every artifact that succeeded names is there, with its size and hash, the weights among them",
    section: STORAGE,
    of: "train",
    core: true,
    everyTask: true,
    check: checkArtifacts,
  },
  {
    id: 702,
    sentence: "RESULT.json says what succeeded says",
    section: STORAGE,
    core: true,
    everyTask: true,
    check: checkResult,
  },
  {
    id: 703,
    sentence: "config.json, env.json and metrics.jsonl tell how it was done",
    section: STORAGE,
    of: "train",
    core: true,
    check: checkRecords,
  },
  {
    id: 704,
    sentence: "Two runs with the same SEED have the same metrics and the same weights",
    section: "In: environment variables",
    of: "train",
    core: true,
    everyTask: true,
    unless: (lab) => (lab.settings.deterministic ? null : "conformance.json declares that it is not deterministic"),
    check: checkSeed,
  },
  {
    id: 711,
    sentence: "evaluate: a whole report, with the figures that training told",
    section: "In: JOB_KIND",
    everyTask: true,
    unless: without("evaluate"),
    check: checkEvaluate,
  },
  {
    id: 712,
    sentence: "predict: one valid prediction for each image of a split, and for images given by address",
    section: "In: JOB_KIND",
    everyTask: true,
    unless: without("predict"),
    check: checkPredict,
  },
  {
    id: 713,
    sentence: "export: the model in a format of its own, run again and compared",
    section: "In: JOB_KIND",
    everyTask: true,
    unless: without("export"),
    check: checkExport,
  },
  {
    id: 714,
    sentence: "MODEL_URI: missing or of another model exit 2, not there exit 4",
    section: "Exit codes",
    unless: (lab) => without("evaluate")(lab) && without("predict")(lab) && without("export")(lab),
    check: checkForeignModels,
  },
];
