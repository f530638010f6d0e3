import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectCommand, paginateListObjectsV2 } from "@aws-sdk/client-s3";
import { getDataset } from "@vision-platform/contracts/api/datasets";
import { createDerivedJob, createJob, listJobArtifacts } from "@vision-platform/contracts/api/jobs";
import { backup } from "@vision-platform/laptop/backup";
import {
  backupFiles,
  contentPath,
  listBackups,
  readManifest,
  readObjects,
} from "@vision-platform/laptop/backup-folder";
import type { Servers } from "@vision-platform/laptop/backup-servers";
import { createProgress } from "@vision-platform/laptop/progress";
import { restore } from "@vision-platform/laptop/restore";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digitsZip } from "./digits.ts";
import { allEvents, newPerson, type Person, projectWithDataset, untilJob, untilOver } from "./person.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";
import { processesOf } from "./processes.ts";

const silent = createProgress("silent", 0);
const folder = mkdtempSync(join(tmpdir(), "vp-backup-"));
const spec = {
  ...{ framework: "timm", model_name: "test_resnet", task_type: "image_classification" as const },
  ...{ batch_size: 64, learning_rate: 0.01 },
};
let platform: Platform;
let person: Person;
let servers: Servers;

beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 10 });
  person = await newPerson(platform.gateway_url, "person");
  servers = {
    shape: "compose",
    database_url: platform.database_url,
    redis_url: platform.redis_url,
    storage: platform.storageSettings(),
    settings: { LOG_LEVEL: "info", JWT_SECRET: "not to be seen" },
  };
});
afterAll(async () => {
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function stopServices(): Promise<void> {
  for (const name of platform.names().reverse()) await platform.end(name, "SIGKILL");
}

async function startServices(): Promise<void> {
  for (const name of platform.names()) await platform.launch(name);
}

/** What a new machine has: an empty database, an empty bucket. */
async function loseEverything(): Promise<void> {
  const client = new pg.Client({ connectionString: platform.database_url });
  await client.connect();
  await client.query("drop schema public cascade; create schema public");
  await client.end();
  const s3 = platform.s3();
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: platform.bucket })) {
    for (const { Key } of page.Contents ?? []) {
      await s3.send(new DeleteObjectCommand({ Bucket: platform.bucket, Key }));
    }
  }
  s3.destroy();
}

describe("a backup of a platform at work", () => {
  it("brings jobs, events, datasets and checkpoints back, and the training that ran goes on", async () => {
    const place = await projectWithDataset(person, await digitsZip(platform.folder));
    const done = await untilOver(
      person,
      (await person.api.call(createJob, { body: { ...place, ...spec, epochs: 1, start: true } })).id,
    );
    expect(done.state).toBe("SUCCEEDED");
    // Epochs enough to be still at it when the backup has been made.
    const running = await person.api.call(createJob, { body: { ...place, ...spec, epochs: 20, start: true } });
    await untilJob(person, running.id, (job) => (job.progress.epoch ?? 0) >= 4);

    const made = await backup(servers, folder, undefined, silent);
    expect(made.manifest).toMatchObject({ warnings: [], running_jobs: [running.id], secrets_left_out: ["JWT_SECRET"] });
    const secrets = JSON.stringify(readManifest(folder, made.name));
    expect(secrets).not.toContain("not to be seen");
    const events = await allEvents(person, done.id);
    await stopServices();
    // With the machine its trainer is gone, too: it would write into the new bucket.
    for (const pid of processesOf(running.id, platform.bucket)) process.kill(pid, "SIGKILL");
    await loseEverything();

    const report = await restore(servers, folder, { at: undefined, replace: false }, silent);
    expect(report).toMatchObject({ name: made.name, running_jobs: [running.id], migrated: [] });
    await startServices();
    expect(await allEvents(person, done.id)).toEqual(events);
    expect(await person.api.call(getDataset, { params: { dataset_id: place.dataset_id } })).toMatchObject({
      latest_version: 1,
    });
    for (const { url } of (await person.api.call(listJobArtifacts, { params: { job_id: done.id } })).items) {
      expect((await fetch(url)).status).toBe(200);
    }
    const over = await untilOver(person, running.id, 200);
    expect(over, JSON.stringify(over.failure)).toMatchObject({ state: "SUCCEEDED", attempt: 2 });
    const again = (await allEvents(person, running.id)).filter(
      ({ attempt, type }) => attempt === 2 && type === "progress",
    );
    expect(Math.min(...again.map(({ data }) => Number(data.epoch)))).toBeGreaterThanOrEqual(3);
    const params = { job_id: done.id };
    const evaluated = await person.api.call(createDerivedJob, { params, body: { kind: "evaluate" } });
    expect((await untilOver(person, evaluated.id)).state).toBe("SUCCEEDED");
  });

  it("copies only what is new the next time, and keeps as many backups as asked", async () => {
    const second = await backup(servers, folder, undefined, silent);
    expect(second.manifest.warnings).toEqual([]);
    expect(second.manifest.objects.copied).toBeLessThan(second.manifest.objects.count);
    const third = await backup(servers, folder, 2, silent);
    expect(third.manifest.objects).toMatchObject({ copied: 0, count: second.manifest.objects.count });
    expect(third.removed).toHaveLength(1);
    expect(listBackups(folder)).toEqual([second.name, third.name]);
    const needed = new Set<string>();
    for await (const { sha256 } of readObjects(folder, third.name)) needed.add(sha256);
    const stored = readdirSync(join(folder, "objects"), { recursive: true, withFileTypes: true });
    expect(new Set(stored.filter((entry) => entry.isFile()).map(({ name }) => name))).toEqual(needed);
  });

  it("is not restored over a platform that is used, and not at all when it is damaged", async () => {
    const options = { at: undefined, replace: false };
    await expect(restore(servers, folder, options, silent)).rejects.toThrow(/stop the platform first/);
    await stopServices();
    await expect(restore(servers, folder, options, silent)).rejects.toThrow(/not empty.*--replace/);
    const other = { ...servers, storage: { ...servers.storage, STORAGE_BUCKET: "another" } };
    await expect(restore(other, folder, options, silent)).rejects.toThrow(/STORAGE_BUCKET/);
    await expect(restore(servers, folder, { at: "2000", replace: true }, silent)).rejects.toThrow(/2000.*there are/);
    await restore(servers, folder, { at: listBackups(folder)[0], replace: true }, silent);
    await startServices();
    await stopServices();
    const newest = listBackups(folder).at(-1) ?? "";
    for await (const { sha256 } of readObjects(folder, newest)) {
      writeFileSync(contentPath(folder, sha256), "something else");
      break;
    }
    await expect(restore(servers, folder, { at: undefined, replace: true }, silent)).rejects.toThrow(/damaged/);
    rmSync(backupFiles(folder, newest).manifest);
    expect(listBackups(folder)).not.toContain(newest);
  });
});
