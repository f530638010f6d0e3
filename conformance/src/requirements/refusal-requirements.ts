/** 101–119: what must be refused, how, and with which exit code. */
import { jobPrefix } from "@vision-platform/contracts/names";
import { TASK_TYPES } from "@vision-platform/contracts/storage-manifests";
import type { Lab } from "../lab.ts";
import {
  withDamagedShard,
  withOneClass,
  withOtherTask,
  withoutValidation,
  withUnreadableImages,
} from "../platform/datasets.ts";
import { isWrite } from "../platform/s3-door.ts";
import { uploadOf } from "../platform/uploads.ts";
import { type Expected, judge, type Refusal, refusal } from "../scenarios/refusals.ts";
import { type EnvironmentCase, environmentCases } from "./environment-cases.ts";
import { type Requirement, when } from "./requirement.ts";

const BAD_CONFIG = { exit: 2, code: "BAD_CONFIG" };
const DATASET_INVALID = { exit: 3, code: "DATASET_INVALID" };
const MODEL_UNAVAILABLE = { exit: 4, code: "MODEL_UNAVAILABLE" };
const STORAGE_FAILURE = { exit: 5, code: "STORAGE_FAILURE" };
/** A store that is away may come back: a trainer may wait a minute or two before it gives up. */
const PATIENCE_LIMIT_MS = 170_000;

async function all(lab: Lab, asked: Refusal[], expected: (refused: Refusal) => Expected): Promise<string[]> {
  const found = await Promise.all(
    asked.map(async (each) => judge(each.name, await refusal(lab, each), expected(each))),
  );
  return found.flat();
}

const namedRefusal = (asked: Refusal): Expected => {
  const { variable, event } = asked as EnvironmentCase;
  return { ...BAD_CONFIG, names: [variable], event };
};

async function checkUntouched(lab: Lab): Promise<string[]> {
  const seen = await Promise.all(environmentCases(lab, true).map((each) => refusal(lab, each)));
  return seen.flatMap(({ s3, run, events, exit }) => [
    ...when(exit.code === 2 && s3.some(isWrite), `${run.job.job_id}: it wrote into the storage before it refused`),
    ...events
      .filter(({ type, data }) => type === "failed" && data.retryable !== false)
      .map(() => "a refusal says that another try may help (retryable)"),
  ]);
}

/** A variant of the data, uploaded; the case that asks for it. */
async function broken(lab: Lab, name: string, files: () => ReturnType<typeof withDamagedShard>): Promise<Refusal> {
  await lab.dataset(name, files());
  return { name: `dataset: ${name}`, dataset: name };
}

export const refusalRequirements: Requirement[] = [
  {
    id: 101,
    sentence: "A variable that is missing is refused with exit 2 and named",
    section: "In: environment variables",
    core: true,
    check: (lab) => all(lab, environmentCases(lab, true), namedRefusal),
  },
  {
    id: 102,
    sentence: "A variable that is malformed or hostile is refused with exit 2 and named",
    section: "In: environment variables",
    check: (lab) => all(lab, environmentCases(lab, false), namedRefusal),
  },
  {
    id: 103,
    sentence: "A refusal writes nothing into the storage and is not retryable",
    section: "Exit codes",
    core: true,
    check: checkUntouched,
  },
  {
    id: 104,
    sentence: "A hyper-parameter that does not exist is refused with exit 2 and named",
    section: "In: CONFIG_JSON",
    check: async (lab) => {
      const CONFIG_JSON = JSON.stringify({ ...(await lab.config()), no_such_setting: 1 });
      return all(lab, [{ name: "unknown setting", changes: { CONFIG_JSON } }], () => ({
        ...BAD_CONFIG,
        names: ["no_such_setting"],
      }));
    },
  },
  {
    id: 105,
    sentence: "A kind of job or a task that it does not declare is refused with exit 2 and named",
    section: "In: JOB_KIND, TASK_TYPE",
    core: true,
    check: (lab) => {
      const foreignKind = lab.kind === "train" ? "ingest" : "train";
      const foreign = TASK_TYPES.find((task) => !(task in lab.trainer.manifest.tasks));
      const cases: (Refusal & { variable: string })[] = [
        { name: `JOB_KIND=${foreignKind}`, variable: "JOB_KIND", changes: { JOB_KIND: foreignKind } },
      ];
      if (foreign) cases.push({ name: `TASK_TYPE=${foreign}`, variable: "TASK_TYPE", changes: { TASK_TYPE: foreign } });
      return all(lab, cases, (each) => ({ ...BAD_CONFIG, names: [(each as { variable: string } & Refusal).variable] }));
    },
  },
  {
    id: 106,
    sentence: "A dataset that is not there, or not what its manifest promises, is refused with exit 3",
    section: "Dataset under DATASET_URI",
    core: true,
    of: "train",
    check: async (lab) => {
      await lab.dataset("not there", new Map());
      const cases = [
        { name: "dataset: not there", dataset: "not there" },
        // Without a cache: there the whole shard lies already, under the very same hash.
        {
          ...(await broken(lab, "damaged shard", () => withDamagedShard(lab.files))),
          changes: { CACHE_DIR: undefined },
        },
      ];
      return all(lab, cases, () => DATASET_INVALID);
    },
  },
  {
    id: 107,
    sentence: "A dataset of another task, with one class, nothing to validate with or broken images: exit 3",
    section: "Dataset under DATASET_URI",
    of: "train",
    everyTask: true,
    check: async (lab) => {
      const other = TASK_TYPES.find((task) => task !== lab.task) ?? lab.task;
      const cases = [
        await broken(lab, "another task", () => withOtherTask(lab.files, other)),
        await broken(lab, "no validation", () => withoutValidation(lab.files)),
        await broken(lab, "unreadable images", () => withUnreadableImages(lab.files)),
      ];
      if (lab.task === "image_classification") {
        cases.push(await broken(lab, "one class", () => withOneClass(lab.files)));
      }
      return all(lab, cases, () => DATASET_INVALID);
    },
  },
  {
    id: 108,
    sentence: "Pretrained weights that are nowhere to be had: exit 4",
    section: "Exit codes",
    of: "train",
    unless: (lab) => (lab.trainer.settings.wants_weights ? null : "conformance.json names no wants_weights"),
    check: (lab) => {
      const CONFIG_JSON = JSON.stringify({ ...lab.settings.config, ...lab.trainer.settings.wants_weights });
      const PRETRAINED_URI = lab.objects.uri(`${jobPrefix(lab.newJobId())}no-weights.safetensors`);
      const cases = [
        { name: "no PRETRAINED_URI, no network", changes: { CONFIG_JSON } },
        { name: "PRETRAINED_URI: not there", changes: { CONFIG_JSON, PRETRAINED_URI } },
      ];
      return all(lab, cases, () => MODEL_UNAVAILABLE);
    },
  },
  {
    id: 109,
    sentence: "A storage that lets it not in: exit 5",
    section: "Exit codes",
    core: true,
    check: (lab) => {
      const changes = { S3_SECRET_ACCESS_KEY: "not-the-secret-of-this-store" };
      return all(lab, [{ name: "storage: wrong key", changes }], () => STORAGE_FAILURE);
    },
  },
  {
    id: 110,
    sentence: "MINIO_* and R2_* spellings of the storage variables are understood",
    section: "In: environment variables",
    check: async (lab) => {
      // Its storage answers under the other names; only the data is of no use, so it is told apart from a bad variable.
      await lab.dataset("of no use", lab.kind === "train" ? new Map() : uploadOf(Buffer.from("no archive")));
      const names = ["ENDPOINT", "REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"];
      const cases = ["MINIO", "R2"].map((prefix) => ({
        name: `${prefix}_* variables`,
        dataset: "of no use",
        renamed: Object.fromEntries(names.map((name) => [`S3_${name}`, `${prefix}_${name}`])),
      }));
      return all(lab, cases, () => DATASET_INVALID);
    },
  },
  {
    id: 111,
    sentence: "A storage that does not answer: exit 5, within three minutes",
    section: "Exit codes",
    core: true,
    check: (lab) => {
      const changes = { S3_ENDPOINT: "http://127.0.0.1:9" };
      const asked = { name: "storage: nobody answers", changes, idle: true, limitMs: PATIENCE_LIMIT_MS };
      return all(lab, [asked], () => STORAGE_FAILURE);
    },
  },
];
