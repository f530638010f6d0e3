import { createJob, getJob } from "@vision-platform/contracts/api/jobs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { digitsZip } from "./digits.ts";
import {
  allEvents,
  newPerson,
  openSocket,
  type Person,
  projectWithDataset,
  untilJob,
  untilOver,
  watch,
} from "./person.ts";
import { Platform, type ServiceName, serversFromEnvironment } from "./platform.ts";
import { processesOf } from "./processes.ts";

let platform: Platform;
let person: Person;
let place: { project_id: number; dataset_id: number };

beforeAll(async () => {
  platform = await Platform.start({ servers: serversFromEnvironment(), redis_db: 12 });
  person = await newPerson(platform.gateway_url, "person");
  place = await projectWithDataset(person, await digitsZip(platform.folder));
});
afterAll(() => platform?.stop());

/** Long enough to be hit in the middle on any machine. */
const spec = {
  framework: "timm",
  model_name: "test_resnet",
  task_type: "image_classification" as const,
  epochs: 12,
  batch_size: 64,
  learning_rate: 0.01,
};

describe("kill -9 in the middle of a training", () => {
  it.each<{ victim: ServiceName; attempts: number }>([
    { victim: "gateway", attempts: 1 },
    { victim: "notifier", attempts: 1 },
    { victim: "worker-timm", attempts: 2 },
  ])("of the $victim loses nothing that was accepted", async ({ victim, attempts }) => {
    const socket = openSocket(platform.notifier_url, person.token);
    const job = await person.api.call(createJob, { body: { ...place, ...spec, start: true } });
    const seen = watch(socket, job.id);
    await untilJob(person, job.id, (each) => (each.progress.epoch ?? 0) >= 3);

    await platform.end(victim, "SIGKILL");
    await platform.launch(victim);

    const over = await untilOver(person, job.id, 150);
    expect(over.failure).toBeNull();
    expect(over).toMatchObject({ state: "SUCCEEDED", attempt: attempts });
    const events = await allEvents(person, job.id);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
    expect(events.filter((event) => event.type === "succeeded")).toHaveLength(1);
    const epochs = events
      .filter((event) => event.type === "metrics" && event.data.scope === "epoch" && event.data.split === "val")
      .map((event) => event.data.epoch);
    expect(new Set(epochs).size).toBe(spec.epochs);
    expect(events.filter((event) => event.type === "warning" && event.data.code === "events_lost")).toEqual([]);
    // The client applied each event once and in order, whatever died.
    await vi.waitFor(() => expect(seen.applied).toEqual(events), { timeout: 15_000 });
    expect(processesOf(job.id)).toEqual([]);
    socket.close();
  });

  it("of the worker resumes in the middle instead of beginning again", async () => {
    const job = await person.api.call(createJob, { body: { ...place, ...spec, start: true } });
    await untilJob(person, job.id, (each) => (each.progress.epoch ?? 0) >= 5);
    await platform.end("worker-timm", "SIGKILL");
    await platform.launch("worker-timm");
    await untilOver(person, job.id, 150);
    const events = await allEvents(person, job.id);
    const again = events
      .filter((event) => event.attempt === 2 && event.type === "progress")
      .map((event) => Number(event.data.epoch));
    expect(again.length).toBeGreaterThan(0);
    expect(Math.min(...again)).toBeGreaterThanOrEqual(4);
    const { attempts } = await person.api.call(getJob, { params: { job_id: job.id } });
    expect(attempts).toMatchObject([{ outcome: "lost", failure: { code: "WORKER_LOST" } }, { outcome: "succeeded" }]);
  });
});
