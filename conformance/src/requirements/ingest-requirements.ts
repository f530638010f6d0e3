/** 801–819: an ingest. An upload goes in, a canonical dataset version comes out, or nothing that could be taken for one. */
import { resultKey } from "@vision-platform/contracts/names";
import { TrainerResult } from "@vision-platform/contracts/storage-manifests";
import type { Lab } from "../lab.ts";
import type { DatasetFiles } from "../platform/datasets.ts";
import { finishedUploads } from "../platform/s3-door.ts";
import { drawUpload, UPLOAD, uploadOf } from "../platform/uploads.ts";
import { interrupted, resumed } from "../scenarios/interruptions.ts";
import { judge, refusal } from "../scenarios/refusals.ts";
import { again, type Ended, undisturbed } from "../scenarios/trainings.ts";
import { howItEnded, type Requirement, tail, when } from "./requirement.ts";
import { versionProblems } from "./version-problems.ts";

const DATASET = "Dataset under DATASET_URI";
const MANIFEST = "MANIFEST.json";

/** Name below DATASET_URI → content of what a run left there. */
async function versionOf(lab: Lab, { run }: Ended): Promise<DatasetFiles> {
  const prefix = lab.objects.key(run.job.dataset_uri) ?? "";
  const files: DatasetFiles = new Map();
  for (const key of await lab.objects.list(prefix)) {
    files.set(key.slice(prefix.length), (await lab.objects.get(key)) ?? Buffer.alloc(0));
  }
  return files;
}

async function differences(lab: Lab, one: Ended, other: Ended): Promise<string[]> {
  if (other.exit.code !== 0) return [`${howItEnded(other.exit)}; ${tail(other.stderr)}`];
  const [expected, seen] = [await versionOf(lab, one), await versionOf(lab, other)];
  const names = new Set([...expected.keys(), ...seen.keys()]);
  // The manifest names the version, and each job here makes another one.
  names.delete(MANIFEST);
  const wrong = [...names].filter((name) => !expected.get(name)?.equals(seen.get(name) ?? Buffer.alloc(0)));
  return when(wrong.length > 0, `${wrong.join(", ")} differ${wrong.length === 1 ? "s" : ""}`);
}

/** A refusal that also has to leave no version behind and, where `findings`, to say in RESULT.json what is wrong. */
async function refusedUpload(lab: Lab, name: string, upload: DatasetFiles, findings: boolean): Promise<string[]> {
  await lab.dataset(name, upload);
  const seen = await refusal(lab, { name: `upload: ${name}`, dataset: name });
  const expected = findings ? { exit: 3, code: "DATASET_INVALID" } : { exit: 2, code: "BAD_CONFIG" };
  const wrong = judge(name, seen, expected);
  if (wrong.length > 0) return wrong;
  const version = await versionOf(lab, seen);
  return [
    ...when(version.size > 0, `${name}: it was refused, and yet ${[...version.keys()].join(", ")} lies there`),
    ...(findings ? await checkFindings(lab, name, seen) : []),
  ];
}

async function checkFindings(lab: Lab, name: string, { run }: Ended): Promise<string[]> {
  const content = await lab.objects.get(resultKey(run.job.job_id));
  const result = content === null ? null : TrainerResult.safeParse(JSON.parse(content.toString())).data;
  const errors = result?.findings?.filter(({ severity }) => severity === "error") ?? [];
  return when(result?.status !== "failed" || errors.length === 0, `${name}: RESULT.json tells no finding`);
}

async function checkNoUpload(lab: Lab): Promise<string[]> {
  const whole = lab.files.get(UPLOAD) ?? Buffer.alloc(0);
  const found = await Promise.all([
    refusedUpload(lab, "not there", new Map(), false),
    refusedUpload(lab, "no archive", uploadOf(Buffer.from("<html>Not found</html>")), true),
    refusedUpload(lab, "cut off", uploadOf(whole.subarray(0, whole.length / 2)), true),
    refusedUpload(lab, "empty", uploadOf(Buffer.alloc(0)), true),
  ]);
  return found.flat();
}

async function checkBadContent(lab: Lab): Promise<string[]> {
  const damaged = await drawUpload(lab.task, lab.upload, 2);
  const found = [refusedUpload(lab, "broken images", damaged, true)];
  if (lab.task === "image_classification") {
    const oneClass = await drawUpload(lab.task, { ...lab.upload, digits: lab.upload.digits.slice(0, 1) });
    found.push(refusedUpload(lab, "one class", oneClass, true));
  } else {
    const folders = await drawUpload("image_classification", { ...lab.upload, format: "image_folder" });
    found.push(refusedUpload(lab, "another task", folders, true));
  }
  return (await Promise.all(found)).flat();
}

async function checkOrder(lab: Lab): Promise<string[]> {
  const { run, s3 } = await undisturbed(lab);
  const prefix = lab.objects.key(run.job.dataset_uri) ?? "";
  const uploads = finishedUploads(s3).filter(({ key }) => key.startsWith(prefix));
  const manifest = uploads.find(({ key }) => key === prefix + MANIFEST);
  const late = uploads.filter(
    ({ ended }) => manifest !== undefined && ended > manifest.began && ended !== manifest.ended,
  );
  return [
    ...when(manifest === undefined, `there is no ${MANIFEST}`),
    ...when(late.length > 0, `${late[0]?.key} was not whole when ${MANIFEST} went up`),
  ];
}

async function checkStopped(lab: Lab): Promise<string[]> {
  const { first, asked } = await interrupted(lab);
  if (asked.stop === null) return ["it was over before it could be stopped"];
  return when((await versionBefore(lab, first)).includes(MANIFEST), `it was stopped, and yet ${MANIFEST} lies there`);
}

/** Names that the first attempt wrote below DATASET_URI; another one has written there since. */
async function versionBefore(lab: Lab, { run, s3 }: Ended): Promise<string[]> {
  const prefix = lab.objects.key(run.job.dataset_uri) ?? "";
  return finishedUploads(s3).map(({ key }) => key.slice(prefix.length));
}

export const ingestRequirements: Requirement[] = [
  {
    id: 801,
    sentence: "An upload that is not there: exit 2; one that is no whole archive: exit 3, and no version",
    section: DATASET,
    of: "ingest",
    core: true,
    check: checkNoUpload,
  },
  {
    id: 802,
    sentence: "An upload with broken images, with one class or of another task: exit 3, its findings told, no version",
    section: DATASET,
    of: "ingest",
    core: true,
    everyTask: true,
    check: checkBadContent,
  },
  {
    id: 803,
    sentence: "MANIFEST.json, index and shards are what they say, and every image of the upload is in them",
    section: DATASET,
    of: "ingest",
    core: true,
    everyTask: true,
    check: async (lab) => {
      const seen = await undisturbed(lab);
      return versionProblems(lab, seen.run.job, await versionOf(lab, seen));
    },
  },
  {
    id: 804,
    sentence: "MANIFEST.json goes up last: a version without it does not exist",
    section: DATASET,
    of: "ingest",
    core: true,
    everyTask: true,
    check: checkOrder,
  },
  {
    id: 805,
    sentence: "The same upload with the same SEED gives the same index and shards, byte for byte",
    section: DATASET,
    of: "ingest",
    core: true,
    everyTask: true,
    check: async (lab) => differences(lab, await undisturbed(lab), await again(lab)),
  },
  {
    id: 806,
    sentence: "Stopped while it uploads, it leaves no MANIFEST.json",
    section: DATASET,
    of: "ingest",
    core: true,
    check: checkStopped,
  },
  {
    id: 807,
    sentence: "The next attempt writes over a torn version, and ends with the same bytes",
    section: DATASET,
    of: "ingest",
    core: true,
    check: async (lab) => {
      const second = await resumed(lab);
      return second === null ? ["there was no second attempt"] : differences(lab, await undisturbed(lab), second);
    },
  },
];
