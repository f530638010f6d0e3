import { readdirSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { cancelJob, createJob } from "@vision-platform/contracts/api/jobs";
import { CheckpointPointer } from "@vision-platform/contracts/storage-manifests";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digitsZip } from "./digits.ts";
import { allEvents, newPerson, type Person, projectWithDataset, untilJob, untilOver } from "./person.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";
import { processesOf } from "./processes.ts";

let platform: Platform;
let person: Person;
let place: { project_id: number; dataset_id: number };

beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 11 });
  person = await newPerson(platform.gateway_url, "person");
  place = await projectWithDataset(person, await digitsZip(platform.folder));
});
afterAll(() => platform?.stop());

const spec = {
  framework: "timm",
  model_name: "test_resnet",
  task_type: "image_classification" as const,
  epochs: 500,
  batch_size: 64,
  learning_rate: 0.01,
};

describe("cancel", () => {
  it("ends a running training with a checkpoint, once, and leaves no process", async () => {
    const job = await person.api.call(createJob, { body: { ...place, ...spec, start: true } });
    await untilJob(person, job.id, (each) => each.phase === "training" && (each.progress.step ?? 0) > 0);
    expect(processesOf(job.id)).not.toEqual([]);
    const asked = await person.api.call(cancelJob, { params: { job_id: job.id } });
    expect(asked).toMatchObject({ cancel_requested: true });

    const over = await untilOver(person, job.id, 45);
    expect(over).toMatchObject({ state: "CANCELLED", attempts: [{ outcome: "cancelled", exit_code: 20 }] });
    const events = await allEvents(person, job.id);
    expect(events.filter((event) => event.type === "state" && event.data.state === "CANCELLED")).toHaveLength(1);
    expect(events.at(-1)?.data.state).toBe("CANCELLED");
    expect(processesOf(job.id)).toEqual([]);
    expect(readdirSync(join(platform.folder, "work/attempts"))).toEqual([]);

    const s3 = platform.s3();
    const pointer = await s3.send(
      new GetObjectCommand({ Bucket: platform.bucket, Key: `jobs/${job.id}/checkpoints/last.json` }),
    );
    const last = CheckpointPointer.parse(JSON.parse((await pointer.Body?.transformToString()) ?? ""));
    expect(last.step).toBeGreaterThan(0);
    s3.destroy();
  });

  it("ends a job that waits at once, and one slot serves the next", async () => {
    const running = await person.api.call(createJob, { body: { ...place, ...spec, start: true } });
    await untilJob(person, running.id, (each) => each.state === "RUNNING");
    const waiting = await person.api.call(createJob, { body: { ...place, ...spec, epochs: 1, start: true } });
    expect(waiting).toMatchObject({ state: "QUEUED", queue_position: 0 });
    expect(waiting.waiting_reason).toContain("slot");
    const next = await person.api.call(createJob, { body: { ...place, ...spec, epochs: 1, start: true } });
    expect(await person.api.call(cancelJob, { params: { job_id: waiting.id } })).toMatchObject({ state: "CANCELLED" });
    await person.api.call(cancelJob, { params: { job_id: running.id } });
    expect(await untilOver(person, next.id)).toMatchObject({ state: "SUCCEEDED" });
    expect(await untilOver(person, waiting.id)).toMatchObject({
      state: "CANCELLED",
      attempts: [{ outcome: "cancelled" }],
    });
  });
});
