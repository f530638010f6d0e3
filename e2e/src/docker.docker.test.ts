/** Real trainers in their real images, launched by workers through the docker agent. */
import { PLATFORM_VERSION } from "@vision-platform/common/version";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { listWorkers } from "@vision-platform/contracts/api/workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digitsZip } from "./digits.ts";
import { DockerAgent, imagesThere } from "./docker-agent.ts";
import { allEvents, newPerson, type Person, projectWithDataset, untilOver } from "./person.ts";
import { Platform, serversFromEnvironment } from "./platform.ts";

const there = imagesThere([`vision-platform-stub:${PLATFORM_VERSION}`]);
let platform: Platform;
let agent: DockerAgent;
let person: Person;
let place: { project_id: number; dataset_id: number };

describe.skipIf(!there)("a training in its framework's image", { timeout: 180_000 }, () => {
  beforeAll(async () => {
    agent = new DockerAgent();
    platform = await Platform.start({
      servers: serversFromEnvironment(),
      redis_db: 11,
      frameworks: ["stub", "dataset"],
      in_containers: { frameworks: ["stub"], agent_socket: agent.socket },
    });
    await agent.start(platform.relays);
    person = await newPerson(platform.gateway_url, "docker");
    place = await projectWithDataset(person, await digitsZip(platform.folder));
  }, 180_000);
  afterAll(async () => {
    await platform?.stop();
    await agent?.stop();
  });

  it("ends as it does in a process: events, log and result, and nothing is left of the container", async () => {
    const spec = { framework: "stub", model_name: "walk", task_type: "image_classification" as const };
    const sizes = { epochs: 2, batch_size: 16, learning_rate: 0.01, start: true };
    const { id } = await person.api.call(createJob, { body: { ...place, ...spec, ...sizes } });
    const job = await untilOver(person, id, 150);
    expect({ state: job.state, failure: job.failure }).toEqual({ state: "SUCCEEDED", failure: null });
    const events = await allEvents(person, id);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    const trained = events.filter(({ type, data }) => type === "metrics" && data.scope === "epoch");
    expect(new Set(trained.map(({ data }) => data.epoch))).toEqual(new Set([1, 2]));
    for (let round = 0; round < 50 && agent.containers().length > 0; round += 1) {
      await new Promise((done) => setTimeout(done, 100));
    }
    expect(agent.containers()).toEqual([]);
  });

  it("is shown as such in the list of workers", async () => {
    const { items } = await person.api.call(listWorkers, {});
    expect(items.find(({ framework }) => framework === "stub")).toMatchObject({ launcher: "docker" });
    expect(items.find(({ framework }) => framework === "dataset")).toMatchObject({ launcher: "subprocess" });
  });
});
