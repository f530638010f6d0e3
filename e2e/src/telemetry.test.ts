/** What operators see of a real run: every log line, every metric, as docs/observability.md says. */
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { LogLine } from "@vision-platform/common/log-line";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { attemptLogKey } from "@vision-platform/contracts/names";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { documentedMetrics, NODE_METRICS } from "../../deploy/monitoring/metric-table.ts";
import { digitsZip } from "./digits.ts";
import { newPerson, openSocket, type Person, projectWithDataset, untilOver, watch } from "./person.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";

let platform: Platform;
let person: Person;
let job_id: number;
let trace_id: string;

beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 6, frameworks: ["stub", "dataset"] });
  person = await newPerson(platform.gateway_url, "person");
  const place = await projectWithDataset(person, await digitsZip(platform.folder));
  const spec = { framework: "stub", model_name: "walk", task_type: "image_classification" as const };
  const sizes = { epochs: 2, batch_size: 16, learning_rate: 0.01, start: true };
  const job = await person.api.call(createJob, { body: { ...place, ...spec, ...sizes } });
  ({ id: job_id, trace_id } = job);
  const socket = openSocket(platform.notifier_url, person.token);
  watch(socket, job_id);
  expect(await untilOver(person, job_id, 60)).toMatchObject({ state: "SUCCEEDED" });
  socket.close();
});
afterAll(() => platform?.stop());

/** Logs are written in pieces, a few times a second. */
async function flushed(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 500));
}

async function trainerLog(): Promise<string> {
  const s3 = platform.s3();
  const object = await s3.send(new GetObjectCommand({ Bucket: platform.bucket, Key: attemptLogKey(job_id, 1) }));
  const text = (await object.Body?.transformToString()) ?? "";
  s3.destroy();
  return text;
}

function linesOf(log: string): LogLine[] {
  const lines = log.trim().split("\n");
  return lines.map((line) => LogLine.parse(JSON.parse(line)));
}

describe("every line of", () => {
  it.each(["gateway", "notifier", "worker-stub", "worker-dataset"] as const)(
    "the %s is of the one format",
    async (name) => {
      await flushed();
      const lines = linesOf(platform.log(name));
      expect(lines.length).toBeGreaterThan(0);
      expect(new Set(lines.map(({ service }) => service))).toEqual(new Set([name.replace(/-.*/, "")]));
    },
  );

  it("the trainer is of the one format, with the job's ids", async () => {
    const lines = linesOf(await trainerLog());
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines)
      expect(line).toMatchObject({ service: "trainer", framework: "stub", job_id, attempt: 1, trace_id });
  });
});

it("the job's trace id is on lines of gateway, worker and trainer", async () => {
  await flushed();
  const logs = [platform.log("gateway"), platform.log("worker-stub"), await trainerLog()];
  for (const log of logs) expect(linesOf(log).some((line) => line.trace_id === trace_id)).toBe(true);
});

/** Where a worker's /metrics are: it says its port when it is up. */
function urlOf(name: string): string {
  if (name === "gateway") return platform.gateway_url;
  if (name === "notifier") return platform.notifier_url;
  const [up] = linesOf(platform.log("worker-stub")).filter(({ message }) => message === "worker takes jobs");
  return `http://127.0.0.1:${up?.port}`;
}

interface Live {
  type: string;
  labels: Set<string>;
}

async function liveMetrics(name: string): Promise<Map<string, Live>> {
  const text = await (await fetch(`${urlOf(name)}/metrics`)).text();
  const found = new Map<string, Live>();
  for (const [, metric = "", type = ""] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    found.set(metric, { type, labels: new Set() });
  }
  for (const [, sample = "", labels = ""] of text.matchAll(/^([a-z_]+)\{([^}]*)\}/gm)) {
    const metric = found.get(sample) ?? found.get(sample.replace(/_(bucket|sum|count)$/, ""));
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) metric?.labels.add(label);
  }
  return found;
}

describe("the metrics of the", () => {
  it.each(["gateway", "notifier", "worker"])("%s are those of the table, and no others", async (name) => {
    const live = await liveMetrics(name);
    const ours = [...live.keys()].filter((metric) => /^(vision_platform|http)_/.test(metric));
    const documented = documentedMetrics().filter(({ of }) => of === name || of === "each");
    const needed = documented.filter(({ optional }) => !optional).map((metric) => metric.name);
    expect([...needed, ...NODE_METRICS].filter((metric) => !live.has(metric))).toEqual([]);
    expect(ours.filter((metric) => !documented.some((each) => each.name === metric))).toEqual([]);
    const common = ["service", "le", ...(name === "worker" ? ["framework"] : [])];
    for (const { name: metric, type, labels } of documented) {
      const seen = live.get(metric);
      if (seen === undefined) continue;
      expect(seen.type, metric).toBe(type);
      expect(
        [...seen.labels].filter((label) => ![...labels, ...common].includes(label)),
        metric,
      ).toEqual([]);
    }
  });

  it("gateway tell what the run did, with a zero for a framework that had nothing to do", async () => {
    const text = await (await fetch(`${platform.gateway_url}/metrics`)).text();
    expect(text).toMatch(/vision_platform_attempts_ended_total\{outcome="succeeded",code="",service="gateway"\} 2/);
    expect(text).toMatch(/vision_platform_attempts_waiting\{framework="timm",service="gateway"\} 0/);
    expect(text).toMatch(/vision_platform_workers\{framework="stub",service="gateway"\} 1/);
    for (const part of ["postgres", "redis", "s3"]) {
      expect(text).toContain(`vision_platform_ready{part="${part}",service="gateway"} 1`);
    }
    expect(text).toContain('vision_platform_redis_noeviction{service="gateway"} 1');
  });
});
