/** The chart on a real cluster: gateway, notifier and workers as pods, and every framework's training as a Job. */
import { createDerivedJob, createJob, type Job, listJobArtifacts } from "@vision-platform/contracts/api/jobs";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scenesZip } from "./digits.ts";
import { type ChartPlatform, clusterFrameworks, installChart, kubectl } from "./kubernetes-platform.ts";
import { allEvents, newPerson, type Person, projectWithDataset, untilOver } from "./person.ts";

const LIMIT_S = 400;

interface Case {
  framework: string;
  task_type: TaskType;
  /** How the upload is laid out, and how many images it holds. */
  format: string;
  count: number;
  model_name: string;
  batch_size: number;
  learning_rate: number;
}

const ALL: Case[] = [
  {
    ...{ framework: "timm", task_type: "image_classification", format: "image_folder", count: 200 },
    ...{ model_name: "test_resnet", batch_size: 32, learning_rate: 0.005 },
  },
  {
    ...{ framework: "huggingface", task_type: "semantic_segmentation", format: "masks", count: 40 },
    ...{ model_name: "test_segformer", batch_size: 8, learning_rate: 0.003 },
  },
  {
    ...{ framework: "ultralytics", task_type: "object_detection", format: "yolo", count: 40 },
    ...{ model_name: "test_yolo11", batch_size: 8, learning_rate: 0.005 },
  },
  {
    ...{ framework: "custom", task_type: "image_classification", format: "image_folder", count: 200 },
    ...{ model_name: "reference", batch_size: 32, learning_rate: 0.5 },
  },
];
const CASES = ALL.filter(({ framework }) => clusterFrameworks().includes(framework));

let platform: ChartPlatform;
let person: Person;

beforeAll(async () => {
  platform = await installChart();
  person = await newPerson(platform.gateway_url, "cluster");
}, 600_000);
afterAll(() => platform?.stop(), 180_000);

async function finished(job: Job): Promise<Job> {
  const over = await untilOver(person, job.id, LIMIT_S);
  expect(over, JSON.stringify(over.failure)).toMatchObject({ state: "SUCCEEDED", attempt: 1 });
  return over;
}

async function trainersNow(): Promise<string> {
  return await kubectl("--namespace", platform.trainers, "get", "jobs,pods,secrets", "--output", "name");
}

describe("what the chart makes", () => {
  it("gives workers rights in the trainers' namespace only, and trainers none", async () => {
    const may = async (who: string, namespace: string, ...what: string[]) => {
      const account = `--as=system:serviceaccount:${who}`;
      const answer = await kubectl("auth", "can-i", ...what, "--namespace", namespace, account).catch(
        ({ stdout }: { stdout?: string }) => stdout ?? "",
      );
      return answer.trim() === "yes";
    };
    const worker = `${platform.namespace}:vp-vision-platform-worker`;
    const trainer = `${platform.trainers}:vision-platform-trainer`;
    expect(await may(worker, platform.trainers, "create", "jobs.batch")).toBe(true);
    expect(await may(worker, platform.trainers, "get", "pods", "--subresource=log")).toBe(true);
    expect(await may(worker, platform.trainers, "get", "secrets")).toBe(false);
    expect(await may(worker, platform.namespace, "create", "jobs.batch")).toBe(false);
    expect(await may(worker, "kube-system", "list", "pods")).toBe(false);
    expect(await may(trainer, platform.trainers, "get", "pods")).toBe(false);
  });

  it("refuses pods beside the trainers that are not restricted", async () => {
    const image = ["--image=none", "--restart=Never", "--privileged"];
    const refused = kubectl("--namespace", platform.trainers, "run", "intruder", ...image);
    await expect(refused).rejects.toThrow(/violates PodSecurity "restricted/);
  });
});

describe.each(CASES)("$framework as a Job", ({ format, count, ...spec }) => {
  it("imports, trains and evaluates", { timeout: 3 * LIMIT_S * 1000 }, async () => {
    const zip = await scenesZip(platform.folder, spec.task_type, format, count);
    const place = await projectWithDataset(person, zip, spec.task_type);
    const body = { ...place, ...spec, epochs: 2, config: {}, start: true };
    const trained = await finished(await person.api.call(createJob, { body }));
    const metric = trained.primary_metric?.name ?? "";
    expect(trained.metrics[metric]).toBeTypeOf("number");
    const types = new Set((await allEvents(person, trained.id)).map(({ type }) => type));
    for (const type of ["started", "progress", "metrics", "checkpoint", "succeeded"]) expect(types).toContain(type);
    const params = { job_id: trained.id };
    const evaluated = await finished(
      await person.api.call(createDerivedJob, { params, body: { kind: "evaluate", config: {} } }),
    );
    const { items } = await person.api.call(listJobArtifacts, { params: { job_id: evaluated.id } });
    expect(items.map(({ name }) => name)).toContain("evaluation.json");
  });
});

describe("afterwards", () => {
  it("nothing of the attempts is left in the cluster", async () => {
    await expect.poll(trainersNow, { timeout: 60_000, interval: 500 }).toBe("");
  });
});
