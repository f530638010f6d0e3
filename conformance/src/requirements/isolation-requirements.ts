/** 601–619: secrets stay secret, and nothing is left where it does not belong. */
import { jobPrefix } from "@vision-platform/contracts/names";
import type { Lab } from "../lab.ts";
import { isWrite } from "../platform/s3-door.ts";
import { derived } from "../scenarios/derived.ts";
import { interrupted } from "../scenarios/interruptions.ts";
import { type Ended, undisturbed } from "../scenarios/trainings.ts";
import { type Requirement, when } from "./requirement.ts";

/** A finished training and a stopped one, and what else was run of this trainer. */
async function looked(lab: Lab): Promise<Ended[]> {
  const kinds = (["evaluate", "predict", "export"] as const).filter((kind) => lab.trainer.manifest.kinds[kind]);
  const others = lab.coreOnly ? [] : kinds.map((kind) => derived(lab, kind));
  return Promise.all([undisturbed(lab), interrupted(lab).then(({ first }) => first), ...others]);
}

async function checkTexts(lab: Lab): Promise<string[]> {
  const found: string[] = [];
  for (const { run, stdout, stderr } of await looked(lab)) {
    const told = run.inbox.events.map(({ raw }) => raw).join("\n");
    const texts: [string, string][] = [
      ["an event", told],
      ["its output", stdout],
      ["its log", stderr],
    ];
    for (const key of await lab.objects.list(jobPrefix(run.job.job_id))) {
      if (/\.(json|jsonl|txt)$/.test(key)) texts.push([key, String(await lab.objects.get(key))]);
    }
    for (const [where, text] of texts) {
      if (run.secrets.some((secret) => text.includes(secret)))
        found.push(`${run.job.kind}: a secret stands in ${where}`);
    }
  }
  return found;
}

async function checkReadable(lab: Lab): Promise<string[]> {
  const runs = await looked(lab);
  return runs.flatMap(({ run, readableSecrets }) =>
    when(
      readableSecrets.length > 0,
      `${run.job.kind}: while it trained, /proc/<pid>/environ showed ${readableSecrets.join(", ")}`,
    ),
  );
}

async function checkOutside(lab: Lab): Promise<string[]> {
  return (await looked(lab)).flatMap(({ run, foreignWrites }) =>
    when(foreignWrites.length > 0, `${run.job.kind}: it wrote ${foreignWrites.slice(0, 5).join(", ")}`),
  );
}

async function checkLeft(lab: Lab): Promise<string[]> {
  return (await looked(lab)).flatMap(({ run, leftFiles, leftProcesses }) => [
    ...when(leftFiles.length > 0, `${run.job.kind}: in TMPDIR it left ${leftFiles.slice(0, 5).join(", ")}`),
    ...when(leftProcesses.length > 0, `${run.job.kind}: it left ${leftProcesses.length} processes running`),
  ]);
}

async function checkOwnPrefix(lab: Lab): Promise<string[]> {
  return (await looked(lab)).flatMap(({ run, s3 }) => {
    const { kind, job_id, dataset_uri } = run.job;
    const own = [jobPrefix(job_id), ...(kind === "ingest" ? [lab.objects.key(dataset_uri) ?? ""] : [])];
    const foreign = s3.filter((request) => isWrite(request) && !own.some((prefix) => request.key.startsWith(prefix)));
    return when(foreign.length > 0, `${kind}: it wrote ${foreign[0]?.key}, which is not under OUTPUT_URI`);
  });
}

export const isolationRequirements: Requirement[] = [
  {
    id: 601,
    sentence: "No secret stands in an event, a log or a file of the job",
    section: "In: environment variables",
    core: true,
    check: checkTexts,
  },
  {
    id: 602,
    sentence: "While foreign code runs, no process of it shows a secret in its environment",
    section: "In: environment variables",
    unless: () => (process.platform === "linux" ? null : "only Linux shows the environment of a process"),
    check: checkReadable,
  },
  {
    id: 603,
    sentence: "It writes nowhere but in HOME, TMPDIR and CACHE_DIR",
    section: "In: environment variables",
    core: true,
    check: checkOutside,
  },
  {
    id: 604,
    sentence: "It leaves nothing behind: TMPDIR is empty, no process of it runs",
    section: "Signals",
    core: true,
    check: checkLeft,
  },
  {
    id: 605,
    sentence: "In the storage it writes under OUTPUT_URI alone, an ingest under DATASET_URI besides",
    section: "Storage under OUTPUT_URI",
    core: true,
    check: checkOwnPrefix,
  },
];
