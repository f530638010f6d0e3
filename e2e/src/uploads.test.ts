import { getDataset } from "@vision-platform/contracts/api/datasets";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { createProject } from "@vision-platform/contracts/api/projects";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digitsZip } from "./digits.ts";
import { importZip, newPerson, type Person, untilOver } from "./person.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";

let platform: Platform;
let person: Person;
let project_id: number;

beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 13, frameworks: ["dataset"] });
  person = await newPerson(platform.gateway_url, "person");
  project_id = (await person.api.call(createProject, { body: { name: "digits" } })).id;
});
afterAll(() => platform?.stop());

describe("an upload with broken files", () => {
  it("becomes INVALID within seconds, with each file's name and reason, and cannot be trained on", async () => {
    const { dataset_id, job_id } = await importZip(person, project_id, "damaged", await digitsZip(platform.folder, 3));
    const job = await untilOver(person, job_id, 60);
    expect(job).toMatchObject({ kind: "ingest", state: "FAILED", attempt: 1, failure: { code: "DATASET_INVALID" } });
    const dataset = await person.api.call(getDataset, { params: { dataset_id } });
    expect(dataset.latest_version).toBeNull();
    const [version] = dataset.versions;
    expect(version).toMatchObject({ version: 1, state: "INVALID", finding_counts: { error: 3 } });
    for (const finding of version?.findings ?? []) {
      expect(finding.file).toMatch(/\.png$/);
      expect(finding.reason.length).toBeGreaterThan(5);
    }
    const spec = { framework: "timm", model_name: "test_resnet", task_type: "image_classification" as const };
    const body = { project_id, dataset_id, ...spec, epochs: 1, batch_size: 64, learning_rate: 0.01 };
    await expect(person.api.call(createJob, { body })).rejects.toThrow(/READY/);
  });
});
