/** 401–419: checkpoints, and what comes of them. */
import { checkpointsPrefix } from "@vision-platform/contracts/names";
import { CheckpointManifest, CheckpointPointer } from "@vision-platform/contracts/storage-manifests";
import type { Lab } from "../lab.ts";
import { withOtherClasses } from "../platform/datasets.ts";
import type { Received } from "../platform/inbox.ts";
import { sha256 } from "../platform/objects.ts";
import { finishedUploads } from "../platform/s3-door.ts";
import { interrupted, resumed } from "../scenarios/interruptions.ts";
import { judge, refusal } from "../scenarios/refusals.ts";
import { type Ended, isProgress, undisturbed } from "../scenarios/trainings.ts";
import { howItEnded, type Requirement, tail, when } from "./requirement.ts";

const STORAGE = "Storage under OUTPUT_URI";
const NO_CHECKPOINT = "last.json was not there, or is no pointer, when the first attempt had ended";

/** Manifest, files and hashes of the checkpoints that lie there at the end. */
async function checkLayout(lab: Lab): Promise<string[]> {
  const { run } = await undisturbed(lab);
  const base = checkpointsPrefix(run.job.job_id);
  const found: string[] = [];
  for (const name of ["last", "best"]) {
    const pointer = CheckpointPointer.safeParse(parse(await lab.objects.get(`${base}${name}.json`)));
    if (!pointer.success) {
      found.push(`${name}.json: ${pointer.error.issues[0]?.message ?? "is not there"}`);
      continue;
    }
    const folder = lab.objects.key(pointer.data.uri)?.replace(/\/$/, "");
    const content = await lab.objects.get(`${folder}/MANIFEST.json`);
    const manifest = CheckpointManifest.safeParse(parse(content));
    if (!content || !manifest.success) {
      found.push(`${name}.json names ${pointer.data.uri}, whose MANIFEST.json is not there or no manifest`);
      continue;
    }
    if (sha256(content) !== pointer.data.manifest_sha256)
      found.push(`${name}.json: manifest_sha256 is of another file`);
    found.push(...(await checkFiles(lab, `${folder}/`, manifest.data)));
  }
  return found;
}

async function checkFiles(lab: Lab, folder: string, manifest: CheckpointManifestType): Promise<string[]> {
  const names = (await lab.objects.list(folder)).map((key) => key.slice(folder.length));
  const missing = manifest.files.filter(({ name }) => !names.includes(name)).map(({ name }) => name);
  const found = when(missing.length > 0, `${folder} lacks ${missing.join(", ")}`);
  found.push(...when(manifest.files.length === 0, `${folder}MANIFEST.json names no file`));
  for (const file of manifest.files.filter(({ name }) => !missing.includes(name))) {
    const content = (await lab.objects.get(folder + file.name)) ?? Buffer.alloc(0);
    if (content.length !== file.bytes || sha256(content) !== file.sha256) {
      found.push(`${folder}${file.name} is not what MANIFEST.json says`);
    }
  }
  return found;
}

type CheckpointManifestType = ReturnType<typeof CheckpointManifest.parse>;

function parse(content: Buffer | null): unknown {
  try {
    return JSON.parse(String(content));
  } catch {
    return null;
  }
}

/** By the times of the requests: files, then the manifest, then the pointer. */
async function checkOrder(lab: Lab): Promise<string[]> {
  const { run, s3 } = await undisturbed(lab);
  const base = checkpointsPrefix(run.job.job_id);
  const uploads = finishedUploads(s3).filter(({ key }) => key.startsWith(base));
  const folders = new Map<string, { name: string; at: number }[]>();
  const pointers: number[] = [];
  for (const { key, ended } of uploads) {
    const [folder = "", ...rest] = key.slice(base.length).split("/");
    if (rest.length === 0) pointers.push(ended);
    else folders.set(folder, [...(folders.get(folder) ?? []), { name: rest.join("/"), at: ended }]);
  }
  const found = when(folders.size === 0, "it uploaded no checkpoint");
  for (const [folder, files] of folders) {
    if (files.at(-1)?.name !== "MANIFEST.json") found.push(`${folder}: ${files.at(-1)?.name} came after MANIFEST.json`);
    if (!pointers.some((at) => at >= (files.at(-1)?.at ?? 0)))
      found.push(`${folder}: no pointer was replaced after it`);
  }
  return found;
}

async function checkEventsOfCheckpoints(lab: Lab): Promise<string[]> {
  const { events } = await undisturbed(lab);
  const told = events.filter(({ type }) => type === "checkpoint");
  const found = when(told.length === 0, "no checkpoint event");
  for (const { data, src_seq } of told) {
    const content = await lab.objects.get(`${lab.objects.key(data.uri)?.replace(/\/$/, "")}/MANIFEST.json`);
    // Older ones are deleted as training goes on.
    if (content && sha256(content) !== data.sha256) found.push(`event ${src_seq}: sha256 is not that of the manifest`);
  }
  return found;
}

/** Values of the epochs' metrics by "epoch name", without those that measure time. */
function epochValues(events: readonly Received[]): Map<string, number | null> {
  const found = new Map<string, number | null>();
  for (const { type, data } of events) {
    if (type !== "metrics" || data.scope !== "epoch") continue;
    for (const [name, value] of Object.entries(data.values ?? {})) {
      if (!name.startsWith("perf/")) found.set(`epoch ${data.epoch} ${name}`, value as number | null);
    }
  }
  return found;
}

function weightsOf(lab: Lab, events: readonly Received[]): string | undefined {
  const artifacts = events.find(({ type }) => type === "succeeded")?.data.artifacts ?? [];
  return artifacts.find(({ name }: { name: string }) => name === lab.settings.weights)?.sha256;
}

/** Every difference between two trainings that should be equal to the last bit. */
export function differences(lab: Lab, one: readonly Received[], other: readonly Received[]): string[] {
  const [expected, seen] = [epochValues(one), epochValues(other)];
  const wrong = [...expected].filter(([name, value]) => seen.get(name) !== value);
  const [name, value] = wrong[0] ?? [];
  const [weights, again] = [weightsOf(lab, one), weightsOf(lab, other)];
  return [
    ...when(
      wrong.length > 0,
      `${wrong.length} of ${expected.size} values differ, such as ${name}: ${value} and ${seen.get(name ?? "")}`,
    ),
    ...when(weights === undefined, `there is no artifact ${lab.settings.weights}`),
    ...when(weights !== again, `${lab.settings.weights} differs`),
  ];
}

async function checkResume(lab: Lab): Promise<string[]> {
  const [whole, { first, asked, pointer }, second] = [
    await undisturbed(lab),
    await interrupted(lab),
    await resumed(lab),
  ];
  if (asked.stop === null) return ["it was over before it could be stopped: raise epochs in conformance.json"];
  if (pointer === null || second === null) return [NO_CHECKPOINT];
  if (second.exit.code !== 0) return [`${howItEnded(second.exit)}; ${tail(second.stderr)}`];
  const begins = second.events.find(isProgress)?.data;
  const step = begins ? (begins.epoch - 1) * begins.steps + begins.step : 0;
  const inTime = lab.settings.resume === "exact" ? step >= pointer.step : (begins?.epoch ?? 0) >= pointer.epoch;
  const told = `its first progress is epoch ${begins?.epoch}, step ${begins?.step}; the checkpoint is of epoch ${pointer.epoch}, step ${pointer.step}`;
  return [
    ...when(!inTime, `it did not go on from the checkpoint: ${told}`),
    ...compare(lab, whole, [...first.events, ...second.events]),
  ];
}

/** As equal as conformance.json declares. */
function compare(lab: Lab, whole: Ended, together: Received[]): string[] {
  const { resume, tolerance } = lab.settings;
  if (resume === "exact") return differences(lab, whole.events, together);
  const metric = lab.trainer.manifest.tasks[lab.task]?.primary_metric ?? "";
  const seen = epochValues(together);
  const missing = [...epochValues(whole.events).keys()].filter(
    (name) => name.endsWith(` ${metric}`) && !seen.has(name),
  );
  const last = (events: readonly Received[]) =>
    events.findLast(({ type }) => type === "succeeded")?.data.metrics?.[metric];
  const difference = Math.abs(last(whole.events) - last(together));
  if (resume === "best_effort") return when(typeof last(together) !== "number", `succeeded does not tell ${metric}`);
  return [
    ...when(missing.length > 0, `nobody told ${missing.join(", ")}`),
    ...when(!(difference <= tolerance), `${metric} differs by ${difference}, at most ${tolerance} is declared`),
  ];
}

/** Damage that was taken for good shows in what comes out. */
async function checkEquality(lab: Lab): Promise<string[]> {
  const [whole, { first }, second] = [await undisturbed(lab), await interrupted(lab), await resumed(lab)];
  const told = second ? [...first.events, ...second.events] : [];
  return lab.settings.resume === "exact" ? differences(lab, whole.events, told) : [];
}

async function checkDamage(lab: Lab): Promise<string[]> {
  const { pointer } = await interrupted(lab);
  const second = await resumed(lab);
  if (pointer === null || second === null) return [NO_CHECKPOINT];
  const damaged = "a checkpoint with a changed byte and one without a manifest lay in its way: ";
  const begins = second.events.find(isProgress)?.data;
  return [
    ...when(second.exit.code !== 0, `${damaged}${howItEnded(second.exit)}; ${tail(second.stderr)}`),
    ...(await checkEquality(lab)).map((wrong) => damaged + wrong),
    ...when(begins === undefined, `${damaged}it never trained`),
  ];
}

/** A resume that must be refused: the checkpoint is of something else. */
async function refusedResume(lab: Lab, name: string, dataset: string, config: object): Promise<string[]> {
  const { run } = await undisturbed(lab);
  const changes = {
    RESUME_URI: lab.objects.uri(checkpointsPrefix(run.job.job_id)),
    LEARNING_RATE: String(lab.settings.learning_rate * (dataset === "whole" ? 0.5 : 1)),
    CONFIG_JSON: JSON.stringify({ ...lab.settings.config, ...config }),
  };
  const seen = await refusal(lab, { name, dataset, changes });
  return judge(name, seen, { exit: 2, code: "BAD_CONFIG", names: ["RESUME_URI"] });
}

export const checkpointRequirements: Requirement[] = [
  {
    id: 401,
    sentence: "last.json and best.json name checkpoints whose files are what their manifest says",
    section: STORAGE,
    of: "train",
    core: true,
    everyTask: true,
    check: checkLayout,
  },
  {
    id: 402,
    sentence: "A checkpoint's manifest goes up last, and the pointers after it",
    section: STORAGE,
    of: "train",
    core: true,
    check: checkOrder,
  },
  {
    id: 403,
    sentence: "A checkpoint event tells the hash of the manifest",
    section: STORAGE,
    of: "train",
    core: true,
    check: checkEventsOfCheckpoints,
  },
  {
    id: 404,
    sentence: "Stopped at a random step and resumed, it ends as its conformance.json declares",
    section: STORAGE,
    of: "train",
    core: true,
    everyTask: true,
    check: checkResume,
  },
  {
    id: 405,
    sentence: "A torn or damaged checkpoint is passed over for the one before",
    section: STORAGE,
    of: "train",
    core: true,
    check: checkDamage,
  },
  {
    id: 406,
    sentence: "A resume with another class map is refused with exit 2",
    section: STORAGE,
    of: "train",
    unless: (lab) => (lab.task === "image_captioning" ? "captions have no classes" : null),
    check: async (lab) => {
      await lab.dataset("other classes", withOtherClasses(lab.files));
      return refusedResume(lab, "resume: other classes", "other classes", {});
    },
  },
  {
    id: 407,
    sentence: "A resume with other settings is refused with exit 2",
    section: STORAGE,
    of: "train",
    check: (lab) => refusedResume(lab, "resume: other settings", "whole", {}),
  },
];
