/** What a container costs at the start of a training: the same trainer as a process and in its image, one after the other. */
import { PLATFORM_VERSION } from "@vision-platform/common/version";
import { createDataset } from "@vision-platform/contracts/api/datasets";
import { createJob } from "@vision-platform/contracts/api/jobs";
import { createProject } from "@vision-platform/contracts/api/projects";
import { DockerAgent, imagesThere } from "@vision-platform/e2e/docker-agent";
import { allEvents, newPerson, type Person, untilOver } from "@vision-platform/e2e/person";
import { Platform, type Servers } from "@vision-platform/e2e/platform";
import { type Figure, p50p99, quantile } from "./report.ts";
import { markReady } from "./stage.ts";

const JOBS = 12;
const WARM_UP = 2;
const IMAGE = `vision-platform-stub:${PLATFORM_VERSION}`;

interface Samples {
  /** Milliseconds from the commit that queues the job to what is named. */
  firstEvent: number[];
  ended: number[];
}

/** The dataset holds no files: the trainer says its first word, looks for them, and ends. */
async function samples(servers: Servers, agent: DockerAgent | null): Promise<Samples> {
  const platform = await Platform.start({
    servers,
    redis_db: 13,
    frameworks: ["stub"],
    ...(agent ? { in_containers: { frameworks: ["stub"], agent_socket: agent.socket } } : {}),
  });
  try {
    await agent?.start(platform.relays);
    const person = await newPerson(platform.gateway_url, "bench");
    const project = await person.api.call(createProject, { body: { name: "bench" } });
    const body = { project_id: project.id, name: "none", task_type: "image_classification" as const };
    const dataset = await person.api.call(createDataset, { body });
    await markReady(platform.database_url, project.id, person.user_id, dataset.id);
    return await runJobs(person, { project_id: project.id, dataset_id: dataset.id });
  } finally {
    await platform.stop();
    await agent?.stop();
  }
}

async function runJobs(person: Person, place: { project_id: number; dataset_id: number }): Promise<Samples> {
  const found: Samples = { firstEvent: [], ended: [] };
  const spec = { framework: "stub", model_name: "walk", task_type: "image_classification" as const };
  const sizes = { epochs: 1, batch_size: 1, learning_rate: 0.1, start: true };
  for (let index = 0; index < WARM_UP + JOBS; index += 1) {
    const { id } = await person.api.call(createJob, { body: { ...place, ...spec, ...sizes } });
    await untilOver(person, id, 60);
    const events = await allEvents(person, id);
    const queued = Date.parse(events.find(({ type, data }) => type === "state" && data.state === "QUEUED")?.ts ?? "");
    const first = events.find(({ src }) => src === "trainer");
    if (index < WARM_UP || first === undefined) continue;
    found.firstEvent.push(Date.parse(first.ts) - queued);
    found.ended.push(Date.parse(events.at(-1)?.ts ?? "") - queued);
  }
  return found;
}

/** Rejects without an engine that has the stub's image. */
export async function benchContainers(servers: Servers): Promise<{ figures: Figure[]; notes: string[] }> {
  if (!imagesThere([IMAGE])) throw new Error(`no Docker engine answers that has ${IMAGE}: ./vp images build stub`);
  const asProcess = await samples(servers, null);
  const inContainer = await samples(servers, new DockerAgent());
  const figure = (name: string, key: keyof Samples): Figure => {
    const added = quantile(inContainer[key], 0.5) - quantile(asProcess[key], 0.5);
    const measured = `${p50p99(inContainer[key])} (${Math.round(added)} ms added)`;
    return { name, measured, limit: p50p99(asProcess[key]), goal: "≤ 1000 ms added (p50)", met: added <= 1_000 };
  };
  return {
    figures: [
      figure("container: commit → trainer's first event, p50 / p99", "firstEvent"),
      figure("container: commit → job ended, p50 / p99", "ended"),
    ],
    notes: [
      `containers: ${JOBS} jobs of the stub trainer each, one after the other, an idle worker, warm image; by the trainer's own clock and the gateway's. The limit is the same trainer as a process.`,
    ],
  };
}
