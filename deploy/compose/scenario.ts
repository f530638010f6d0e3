/**
 * The whole platform by docker-compose.yml, from a clean clone to nothing left: all frameworks through trainers in
 * containers, Valkey restarted and everything upgraded under a training, a backup restored into empty volumes.
 * `./vp test --compose`; `--frameworks a,b` for some of them only, `--parts valkey,restore,upgrade` for some of what is
 * done to them (with `use`: the trained models are evaluated, used and exported).
 */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";
import { NODE_OPTIONS } from "@vision-platform/common/node-options";
import { getJob, type Job } from "@vision-platform/contracts/api/jobs";
import { listWorkers } from "@vision-platform/contracts/api/workers";
import { allEvents, type Person, untilJob, untilOver } from "@vision-platform/e2e/person";
import { CASES, type Case } from "@vision-platform/e2e/walkthrough/cases";
import { expect } from "@vision-platform/e2e/walkthrough/expecting";
import { checkAllRecords, checkRecord } from "@vision-platform/e2e/walkthrough/job-record";
import { createReport } from "@vision-platform/e2e/walkthrough/report";
import { type Place, register, startTraining, upload, useModel } from "@vision-platform/e2e/walkthrough/steps";
import { cloneStack, type Stack } from "./stack.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const LIMIT_S = 900;
/** Tags of the images: before and after the upgrade. */
const [BEFORE, AFTER] = ["scenario-1", "scenario-2"];
const run = promisify(execFile);

const { values } = parseArgs({
  options: {
    frameworks: { type: "string", default: CASES.map(({ framework }) => framework).join(",") },
    parts: { type: "string", default: "use,valkey,restore,upgrade" },
    json: { type: "boolean", default: false },
  },
});
const parts = values.parts.split(",");
const wanted = values.frameworks.split(",");
const cases = CASES.filter(({ framework }) => wanted.includes(framework));
const first = cases[0];
if (!first || cases.length < wanted.length) throw new Error(`--frameworks: ${values.frameworks} are not all known`);

const report = createReport("compose", values.json);
const stack = await report.step("a clean clone with a .env of its own", () =>
  cloneStack({
    IMAGE_TAG: BEFORE,
    COMPOSE_PROFILES: ["mlflow", ...cases.map(({ framework }) => framework)].join(","),
    ENABLED_FRAMEWORKS: cases.map(({ framework }) => framework).join(","),
  }),
);
try {
  await scenario(stack, first);
} catch {
  // Told with its step already.
  report.say((await stack.compose("ps", "--all").catch(() => "")).trim());
  report.say((await stack.compose("logs", "--tail", "15", "--no-log-prefix").catch(() => "")).slice(-6_000));
} finally {
  await report.step("nothing is left", () => destroyed(stack)).catch(() => undefined);
  process.exitCode = report.end();
}

async function scenario(stack: Stack, first: Case): Promise<void> {
  const images = ["dataset", ...cases.map(({ framework }) => framework)].map((name) => `image-${name}`);
  await report.step("images are built", () => stack.compose("--profile", "images", "build", ...images));
  await report.step("images of the services are built", () => stack.compose("build"));
  const began = Date.now();
  await report.step("docker compose up", () => stack.compose("up", "--detach", "--wait"));
  const person = await register(stack.gateway_url);
  await report.step("every worker launches trainers in containers", () => launchers(person));

  const places = new Map<string, Place>();
  for (const example of cases) {
    const name = example.framework;
    const place = await report.step(`${name}: a dataset is made`, () => upload(person, example, stack.folder));
    places.set(name, place);
    const trained = await report.step(
      `${name}: trains`,
      async () => await succeeded(person, await startTraining(person, place, example), 1),
      ({ metrics }) =>
        `${JSON.stringify(metrics)}; ${Math.round((Date.now() - began) / 1000)} s after docker compose up`,
    );
    if (!parts.includes("use")) continue;
    await report.step(`${name}: evaluates, predicts and exports`, () => useModel(person, trained));
  }

  const place = places.get(first.framework) as Place;
  const disturbances = {
    valkey: ["Valkey is restarted under a training", valkeyRestarted],
    restore: ["a backup is restored into empty volumes", broughtBack],
    upgrade: ["everything is upgraded under a training", upgraded],
  } as const;
  for (const [part, [name, disturb]] of Object.entries(disturbances)) {
    if (parts.includes(part)) await report.step(name, () => disturb(stack, person, place, first));
  }
  await report.step(
    "every job's record is whole",
    () => checkAllRecords(person),
    ({ jobs, events }) => `${jobs} jobs, ${events} events`,
  );
}

async function succeeded(person: Person, { id }: Job, attempts: number): Promise<Job> {
  const job = await untilOver(person, id, LIMIT_S);
  const told = `job ${id} (${job.framework}) ${job.state} in attempt ${job.attempt}: ${JSON.stringify(job.failure)}`;
  expect(job.state === "SUCCEEDED" && job.attempt === attempts, told);
  return job;
}

/** As the administrator sees it: who registers first is one. */
async function launchers(person: Person): Promise<void> {
  const { items } = await person.api.call(listWorkers, {});
  const told = items.map(({ framework, launcher }) => `${framework}: ${launcher}`).sort();
  const expected = ["dataset", ...cases.map(({ framework }) => framework), "timm", "huggingface"];
  const whole = [...new Set(expected)].map((framework) => `${framework}: docker`).sort();
  expect(JSON.stringify(told) === JSON.stringify(whole), `workers ${told.join(", ")}`);
}

/** A training that is in the middle, with enough left to do. */
async function inTheMiddle(person: Person, place: Place, example: Case): Promise<Job> {
  const job = await startTraining(person, place, example, example.epochs * 4);
  return await untilJob(person, job.id, ({ progress }) => (progress.epoch ?? 0) >= 2, LIMIT_S);
}

async function valkeyRestarted(stack: Stack, person: Person, place: Place, example: Case): Promise<void> {
  const job = await inTheMiddle(person, place, example);
  await stack.compose("restart", "valkey");
  checkRecord(await succeeded(person, job, 1), await allEvents(person, job.id));
}

/** New images of all services, the gateway's with one more migration; the trainer's container stays the same. */
async function upgraded(stack: Stack, person: Person, place: Place, example: Case): Promise<void> {
  const db = join(stack.folder, "services/gateway/src/db");
  const migration = 'export const up = async (db) => void (await db.schema.createTable("upgraded").execute());\n';
  writeFileSync(join(db, "migrations/9999-upgraded.ts"), `// @ts-nocheck\n${migration}`);
  const source = readFileSync(join(db, "migrate.ts"), "utf8");
  const known = source.replace(
    /\n};\n/,
    '\n  "9999-upgraded": await import("./migrations/9999-upgraded.ts") as unknown as Migration,\n};\n',
  );
  expect(known !== source, "migrate.ts has a list of migrations");
  writeFileSync(join(db, "migrate.ts"), known);
  for (const name of ["dataset", ...cases.map(({ framework }) => framework)]) {
    await stack.docker("tag", `vision-platform-${name}:${BEFORE}`, `vision-platform-${name}:${AFTER}`);
  }
  stack.set({ IMAGE_TAG: AFTER });
  await stack.compose("build");

  const job = await inTheMiddle(person, place, example);
  const container = async () =>
    (await stack.docker("ps", "--quiet", "--filter", `label=vision-platform.instance=${stack.instance}`)).trim();
  const before = await container();
  await stack.compose("up", "--detach", "--wait");
  const applied = await stack.compose(
    ...["exec", "-T", "postgres", "psql", "--username=vision", "--tuples-only", "--command"],
    "select name from kysely_migration where name like '9999%'",
  );
  expect(applied.includes("9999-upgraded"), "the new gateway has migrated");
  const now = await person.api.call(getJob, { params: { job_id: job.id } });
  if (now.state === "RUNNING") expect((await container()) === before, "the same container trains on");
  checkRecord(await succeeded(person, job, 1), await allEvents(person, job.id));
}

/** Everything is lost but a backup that was taken while a training ran. */
async function broughtBack(stack: Stack, person: Person, place: Place, example: Case): Promise<void> {
  const job = await inTheMiddle(person, place, example);
  const kept = join(stack.folder, "kept");
  await vp("backup", kept, "--env-file", stack.env_file);
  await stack.compose("kill");
  const trainers = await stack.docker("ps", "-aq", "--filter", `label=vision-platform.instance=${stack.instance}`);
  await stack.docker("rm", "--force", ...trainers.split("\n").filter((id) => id !== ""));
  await stack.compose("down", "--volumes");
  await stack.compose("up", "--detach", "--wait", "postgres", "valkey", "s3");
  await vp("restore", kept, "--env-file", stack.env_file);
  await stack.compose("up", "--detach", "--wait");
  checkRecord(await succeeded(person, job, 2), await allEvents(person, job.id));
}

/** A command of ./vp, of this checkout. */
async function vp(...words: string[]): Promise<void> {
  const main = join(ROOT, "services/cli/src/main.ts");
  try {
    await run(process.execPath, [...NODE_OPTIONS, main, ...words], { timeout: LIMIT_S * 1000 });
  } catch (error) {
    throw new Error(`./vp ${words.join(" ")}: ${(error as { stderr?: string }).stderr ?? error}`, { cause: error });
  }
}

async function destroyed(stack: Stack): Promise<void> {
  await stack.destroy();
  for (const name of ["dataset", "gateway", "worker", "notifier", ...cases.map(({ framework }) => framework)]) {
    const tags = [BEFORE, AFTER].map((tag) => `vision-platform-${name}:${tag}`);
    // One of them is not there when the upgrade was left out.
    for (const tag of tags) await stack.docker("image", "rm", tag).catch(() => undefined);
  }
}
