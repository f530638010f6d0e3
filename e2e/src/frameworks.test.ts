import { GetObjectCommand } from "@aws-sdk/client-s3";
import {
  createDerivedJob,
  createImageUploads,
  createJob,
  type Job,
  listJobArtifacts,
} from "@vision-platform/contracts/api/jobs";
import { jobPrefix } from "@vision-platform/contracts/names";
import {
  EvaluationReport,
  ExportReport,
  Prediction,
  type TaskType,
} from "@vision-platform/contracts/storage-manifests";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scenesZip } from "./digits.ts";
import { allEvents, newPerson, type Person, projectWithDataset, untilOver } from "./person.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";

interface Case {
  framework: string;
  task_type: TaskType;
  /** How the upload is laid out, and how many images it holds. */
  format: string;
  count: number;
  model_name: string;
  epochs: number;
  batch_size: number;
  learning_rate: number;
  /** Long enough to show that it trains; what each model reaches is the business of its trainer's own tests. */
  metric: string;
}

const CASES: Case[] = [
  {
    ...{ framework: "timm", task_type: "image_classification", format: "image_folder", count: 200 },
    ...{ model_name: "test_resnet", epochs: 3, batch_size: 32, learning_rate: 0.005, metric: "val/top1" },
  },
  {
    ...{ framework: "huggingface", task_type: "semantic_segmentation", format: "masks", count: 40 },
    ...{ model_name: "test_segformer", epochs: 3, batch_size: 8, learning_rate: 0.003, metric: "val/mIoU" },
  },
  {
    ...{ framework: "ultralytics", task_type: "object_detection", format: "yolo", count: 40 },
    ...{ model_name: "test_yolo11", epochs: 3, batch_size: 8, learning_rate: 0.005, metric: "val/mAP50_95" },
  },
  {
    // The repository that comes with the custom trainer: what any other would be, without a network.
    ...{ framework: "custom", task_type: "image_classification", format: "image_folder", count: 200 },
    ...{ model_name: "reference", epochs: 3, batch_size: 32, learning_rate: 0.5, metric: "val/top1" },
  },
];

let platform: Platform;
let person: Person;

beforeAll(async () => {
  const frameworks = ["dataset", ...CASES.map(({ framework }) => framework)];
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 8, frameworks });
  person = await newPerson(platform.gateway_url, "frameworks");
});
afterAll(() => platform?.stop());

async function finished(job: Job): Promise<Job> {
  const over = await untilOver(person, job.id, 200);
  expect(over, JSON.stringify(over.failure)).toMatchObject({ state: "SUCCEEDED" });
  return over;
}

async function derived(source: Job, kind: "evaluate" | "predict" | "export", extra: object = {}): Promise<Job> {
  const params = { job_id: source.id };
  return await finished(await person.api.call(createDerivedJob, { params, body: { kind, ...extra } }));
}

/** The content of an artifact, by the link that a person would follow. */
async function artifact(job: Job, name: string): Promise<string> {
  const { items } = await person.api.call(listJobArtifacts, { params: { job_id: job.id } });
  const found = items.find((item) => item.name === name);
  if (!found) throw new Error(`job ${job.id} left ${items.map((item) => item.name).join(", ")}, but no ${name}`);
  const answer = await fetch(found.url);
  expect(answer.status).toBe(200);
  return await answer.text();
}

async function anImage(source: Job): Promise<string> {
  const sample = (await allEvents(person, source.id)).find((event) => event.type === "sample");
  const uri = String(sample?.data.image_uri);
  const s3 = platform.s3();
  const Key = uri.replace(`s3://${platform.bucket}/`, "");
  const stored = await s3.send(new GetObjectCommand({ Bucket: platform.bucket, Key }));
  const bytes = (await stored.Body?.transformToByteArray()) ?? new Uint8Array();
  s3.destroy();
  const { items } = await person.api.call(createImageUploads, {
    params: { job_id: source.id },
    body: { files: [{ filename: "a picture.jpg", bytes: bytes.length }] },
  });
  const put = await fetch(items[0]?.url ?? "", { method: "PUT", body: Buffer.from(bytes) });
  expect(put.status).toBe(200);
  return items[0]?.image_id ?? "";
}

describe.each(CASES)("$framework: $task_type", (example) => {
  it("trains, evaluates, predicts and exports through the platform", async () => {
    const { format, count, metric, ...spec } = example;
    const place = await projectWithDataset(
      person,
      await scenesZip(platform.folder, spec.task_type, format, count),
      spec.task_type,
    );
    const trained = await finished(
      await person.api.call(createJob, { body: { ...place, ...spec, config: {}, start: true } }),
    );
    expect(trained.primary_metric?.name).toBe(metric);
    expect(trained.metrics[metric]).toBeTypeOf("number");
    const types = new Set((await allEvents(person, trained.id)).map((event) => event.type));
    const told = ["started", "progress", "metrics", "sample", "checkpoint", "succeeded"];
    for (const type of told) expect(types).toContain(type);

    const evaluated = await derived(trained, "evaluate");
    expect(evaluated.source_job_id).toBe(trained.id);
    const report = EvaluationReport.parse(JSON.parse(await artifact(evaluated, "evaluation.json")));
    expect(report.metrics[metric]).toBeCloseTo(trained.metrics[metric] ?? Number.NaN, 3);
    expect(report.per_class.length).toBeGreaterThan(0);

    const exported = await derived(trained, "export");
    const proof = ExportReport.parse(JSON.parse(await artifact(exported, "export.json")));
    expect(proof.parity.max_abs_diff).toBeLessThanOrEqual(proof.parity.tolerance);
    expect(exported.id).not.toBe(trained.id);

    const predicted = await derived(trained, "predict", { images: [await anImage(trained)] });
    const lines = (await artifact(predicted, "predictions.jsonl")).trim().split("\n");
    const prediction = Prediction.parse(JSON.parse(lines[0] ?? ""));
    expect(lines).toHaveLength(1);
    expect(prediction.image).toContain(jobPrefix(trained.id));
    expect(prediction.overlay).toBeDefined();
  });
});
