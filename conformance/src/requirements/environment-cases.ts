/** Every variable of the contract: left out, malformed, hostile. */
import type { Lab } from "../lab.ts";
import type { Refusal } from "../scenarios/refusals.ts";
import type { MainKind } from "../trainer-folder.ts";

export interface EnvironmentCase extends Refusal {
  variable: string;
  /** False: without this variable nobody knows where to send an event. */
  event: boolean;
}

/** Variables that decide where events go, and under which number. */
const DOOR = new Set(["JOB_ID", "ATTEMPT", "EVENTS_MODE", "EVENTS_REDIS_URL", "EVENTS_STREAM", "CALLBACK_URL"]);

const REQUIRED = [
  "CONTRACT_VERSION",
  "JOB_ID",
  "ATTEMPT",
  "JOB_KIND",
  "FRAMEWORK",
  "TASK_TYPE",
  "DATASET_URI",
  "OUTPUT_URI",
  "EVENTS_MODE",
  "STORAGE_TYPE",
  "STORAGE_BUCKET",
  "S3_ENDPOINT",
  "S3_ACCESS_KEY_ID",
  "S3_SECRET_ACCESS_KEY",
];

/** What only one kind of job cannot do without. */
const REQUIRED_BY: Record<MainKind, string[]> = {
  train: ["MODEL_NAME", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE"],
  ingest: ["DATASET_ID", "DATASET_VERSION", "CONFIG_JSON"],
};

const MALFORMED: [string, string][] = [
  ["CONTRACT_VERSION", "2"],
  ["JOB_ID", "seven"],
  ["ATTEMPT", "0"],
  ["JOB_KIND", "dance"],
  ["DATASET_URI", "/etc/passwd"],
  ["OUTPUT_URI", "http://example.invalid/jobs/1/"],
  ["RESUME_URI", "file:///etc/passwd"],
  ["CONFIG_JSON", '{"steps": '],
  ["CONFIG_JSON", "[1, 2]"],
  ["EPOCHS", "-1"],
  ["EPOCHS", "2.5"],
  ["BATCH_SIZE", "0"],
  ["LEARNING_RATE", "fast"],
  ["LEARNING_RATE", "nan"],
  ["LEARNING_RATE", "0"],
  ["SEED", "-5"],
  ["DEVICE", "abacus"],
  ["NUM_WORKERS", "-1"],
  ["EVENTS_MODE", "pigeon"],
  ["STORAGE_TYPE", "floppy"],
  ["HEARTBEAT_S", "soon"],
  ["GRACE_S", "nan"],
  ["MAX_RUNTIME_S", "-1"],
  ["CHECKPOINT_EVERY_S", "often"],
];

const HOSTILE: [string, string][] = [
  ["JOB_ID", "1; rm -rf /"],
  ["JOB_ID", "9".repeat(400)],
  ["MODEL_NAME", "../../../etc/passwd\u0001"],
  ["CONFIG_JSON", `{"x": "${"x".repeat(40_000)}"}`],
  ["CONFIG_JSON", "[".repeat(30_000)],
  ["EPOCHS", "1".repeat(5_000)],
  ["DATASET_URI", "s3://"],
];

/** Few of each sort for `core`: a trainer in one file need not check what the platform never sends. */
export function environmentCases({ kind }: Lab, core: boolean): EnvironmentCase[] {
  const missing = [...REQUIRED, ...REQUIRED_BY[kind]].map((variable) =>
    environmentCase(`${variable} missing`, variable, undefined),
  );
  if (core) return missing;
  const shown = (text: string) => (text.length > 24 ? `${text.slice(0, 20)}… (${text.length})` : text);
  const wrong = [...MALFORMED, ...HOSTILE].map(([variable, value]) =>
    environmentCase(`${variable}=${shown(value)}`, variable, value),
  );
  return [...missing, ...wrong, ...doors()];
}

function environmentCase(name: string, variable: string, value: string | undefined): EnvironmentCase {
  return { name, variable, changes: { [variable]: value }, event: !DOOR.has(variable) };
}

/** What only one of the doors needs. */
function doors(): EnvironmentCase[] {
  const http = { EVENTS_MODE: "http", CALLBACK_URL: "http://127.0.0.1:9", CALLBACK_TOKEN: "a.b.c" };
  const redis = { EVENTS_MODE: "redis", EVENTS_REDIS_URL: "redis://127.0.0.1:9", EVENTS_STREAM: "s" };
  return [
    { ...http, CALLBACK_URL: undefined },
    { ...http, CALLBACK_TOKEN: undefined },
    { ...redis, EVENTS_REDIS_URL: undefined },
    { ...redis, EVENTS_STREAM: undefined },
    { ...redis, EVENTS_REDIS_URL: "gopher://127.0.0.1" },
  ].map((changes) => {
    const [variable = "", value] =
      Object.entries(changes).find(([, each]) => each === undefined || /^gopher/.test(each)) ?? [];
    return { name: `${changes.EVENTS_MODE}: ${variable} ${value ?? "missing"}`, variable, changes, event: false };
  });
}
