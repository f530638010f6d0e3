/** Where trainers are run: one task of one trainer, its data, its doors. What was run once is there for all that ask. */
import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { JobKind } from "@vision-platform/contracts/job-state";
import { datasetPrefix, jobPrefix } from "@vision-platform/contracts/names";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { openCallbackDoor } from "./platform/callback-door.ts";
import { type DatasetFiles, drawDataset, uploadDataset } from "./platform/datasets.ts";
import type { EventDoor, Ids } from "./platform/door.ts";
import { createObjects, type Objects } from "./platform/objects.ts";
import { openRedisDoor } from "./platform/redis-door.ts";
import { openS3Door } from "./platform/s3-door.ts";
import type { Servers } from "./platform/servers.ts";
import { openStdoutDoor } from "./platform/stdout-door.ts";
import { drawUpload, UPLOAD } from "./platform/uploads.ts";
import { type Changes, jobEnvironment, trainingVariables } from "./runs/environment.ts";
import type { Housing } from "./runs/housing.ts";
import { createSandbox, makeFolder, removeFolder } from "./runs/sandbox.ts";
import type { Slots } from "./runs/slots.ts";
import { launchTrainer, type TrainerRun } from "./runs/trainer-run.ts";
import type { MainKind, TaskSettings, TrainerFolder, UploadSettings } from "./trainer-folder.ts";

export interface RunSpec<Door extends EventDoor = EventDoor> {
  name: string;
  kind?: JobKind;
  job_id?: number;
  attempt?: number;
  /** stdout unless named. */
  door?: "stdout" | "redis" | ((ids: Ids) => Promise<Door>);
  /** A name given to `dataset`; the whole dataset unless named. */
  dataset?: string;
  settings?: Partial<TaskSettings>;
  /** The storage takes its time for each write. */
  slowStore?: boolean;
  changes?: Changes;
  /** Other names for some of the variables. */
  renamed?: Record<string, string>;
  /** It mostly waits (for a storage that is down): it takes no slot from the others. */
  idle?: boolean;
  limitMs?: number;
}

export interface Lab {
  trainer: TrainerFolder;
  task: TaskType;
  /** The kind of its runs, unless they name another. */
  kind: MainKind;
  /** With what it trains. Throws where the trainer only ingests: what reads it is asked `of: "train"`. */
  readonly settings: TaskSettings;
  /** What it ingests. Throws where the trainer trains. */
  readonly upload: UploadSettings;
  objects: Objects;
  /** What a job is given: a canonical dataset, or an upload. */
  files: DatasetFiles;
  /** GRACE_S of every run. */
  grace_s: number;
  /** Only the core is asked for: kinds other than train need not be run. */
  coreOnly: boolean;
  /** `make` is called once for each name, whoever asks first. */
  once<T>(name: string, make: () => Promise<T>): Promise<T>;
  newJobId(): number;
  /** CONFIG_JSON of a plain job on the data of this name, as an object. */
  config(dataset?: string): Promise<Record<string, unknown>>;
  /** Uploads a variant of the data under a name, once. */
  dataset(name: string, files: DatasetFiles): Promise<string>;
  /** Waits for a free slot, then starts the trainer. */
  start<Door extends EventDoor = EventDoor>(spec: RunSpec<Door>): Promise<TrainerRun & { door: Door }>;
  close(): void;
}

/** The longest that a run may take, if nothing else is said. */
export const RUN_LIMIT_MS = 180_000;
/** Each write to a slow store takes this share of the grace: a trainer that is stopped meanwhile still ends in time. */
const SLOW_WRITE_SHARE = 1 / 6;

export async function openLab(options: {
  trainer: TrainerFolder;
  task: TaskType;
  servers: Servers;
  housing: Housing;
  slots: Slots;
  coreOnly: boolean;
  grace_s: number;
}): Promise<Lab> {
  const { trainer, task, servers, housing, slots } = options;
  const { kind } = trainer;
  const objects = createObjects(servers);
  const memory = new Map<string, Promise<unknown>>();
  const folder = makeFolder("lab");
  mkdirSync(join(folder, "cache"));
  // Far from the numbers of other labs and tests on the same servers.
  let lastId = randomInt(1, 2 ** 37) * 1000;

  const lab: Lab = {
    trainer,
    task,
    kind,
    get settings() {
      return told(trainer.settings.tasks[task], task);
    },
    get upload() {
      return told(trainer.settings.uploads[task], task);
    },
    objects,
    files: new Map(),
    coreOnly: options.coreOnly,
    grace_s: options.grace_s,
    once<T>(name: string, make: () => Promise<T>): Promise<T> {
      const known = memory.get(name) as Promise<T> | undefined;
      if (known) return known;
      const making = make();
      memory.set(name, making);
      return making;
    },
    newJobId() {
      lastId += 1;
      return lastId;
    },
    async config(dataset = "whole") {
      if (kind === "train") return lab.settings.config;
      const source_uri = (await lab.dataset(dataset, lab.files)) + UPLOAD;
      return { source_uri, filename: UPLOAD, ...lab.upload.config };
    },
    dataset: (name, variant) =>
      lab.once(`dataset ${name}`, async () => {
        const prefix = datasetPrefix(lab.newJobId(), 1);
        await uploadDataset(objects, prefix, variant);
        return objects.uri(prefix);
      }),
    async start<Door extends EventDoor>(spec: RunSpec<Door>) {
      const release = spec.idle ? () => undefined : await slots.take();
      try {
        return (await startRun(lab, { servers, housing }, spec, join(folder, "cache"), release)) as TrainerRun & {
          door: Door;
        };
      } catch (error) {
        release();
        throw error;
      }
    },
    close() {
      objects.close();
      removeFolder(folder);
    },
  };
  lab.files = kind === "train" ? await drawDataset(task, lab.settings.dataset) : await drawUpload(task, lab.upload);
  return lab;
}

function told<Settings>(settings: Settings | undefined, task: TaskType): Settings {
  if (!settings) throw new Error(`conformance.json says nothing of ${task} for this kind of job`);
  return settings;
}

async function startRun(
  lab: Lab,
  { servers, housing }: { servers: Servers; housing: Housing },
  spec: RunSpec,
  cache: string,
  onExit: () => void,
): Promise<TrainerRun> {
  const { kind = lab.kind, attempt = 1, job_id = lab.newJobId() } = spec;
  const command = lab.trainer.command(kind);
  if (!command) throw new Error(`trainer.json names no command for ${kind}`);
  const sandbox = createSandbox(spec.name, lab.trainer.path, cache);
  const door =
    typeof spec.door === "function"
      ? await spec.door({ job_id, attempt, address: housing.address })
      : spec.door === "redis"
        ? await openRedisDoor(servers, { job_id, attempt, address: housing.address })
        : openStdoutDoor(sandbox.stdout);
  const writesTakeMs = spec.slowStore ? lab.grace_s * 1000 * SLOW_WRITE_SHARE : 0;
  const s3Door = await openS3Door(servers, housing.address, writesTakeMs);
  const job = {
    kind,
    task: lab.task,
    job_id,
    attempt,
    // An ingest is given an upload, and makes the dataset.
    dataset_uri:
      kind === "ingest"
        ? lab.objects.uri(datasetPrefix(job_id, 1))
        : await lab.dataset(spec.dataset ?? "whole", lab.files),
    output_uri: lab.objects.uri(jobPrefix(job_id)),
  };
  const env = jobEnvironment({
    trainer: lab.trainer,
    work:
      kind === "ingest"
        ? { DATASET_ID: String(job_id), CONFIG_JSON: JSON.stringify(await lab.config(spec.dataset)) }
        : trainingVariables(kind, { ...lab.settings, ...spec.settings }),
    job,
    sandbox,
    s3: { ...servers.s3, endpoint: s3Door.url },
    doors: door.variables,
    marker: `${job_id}-${attempt}`,
    changes: { GRACE_S: String(lab.grace_s), ...spec.changes },
    renamed: spec.renamed ?? {},
  });
  return launchTrainer({
    job,
    command,
    env,
    sandbox,
    housing,
    door,
    s3Door,
    secrets: [servers.s3.secretAccessKey, ...door.secrets],
    limitMs: spec.limitMs ?? RUN_LIMIT_MS,
    onExit,
  });
}

/** The door of `spec.door` for EVENTS_MODE=http. */
export const http = openCallbackDoor;
