/** Somebody who uses the platform through its public doors only. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { type ApiClient, createApiClient } from "@vision-platform/common/api-client";
import { register } from "@vision-platform/contracts/api/auth";
import { completeUpload, createDataset, createUpload, getDataset } from "@vision-platform/contracts/api/datasets";
import { getJob, type Job, listJobEvents } from "@vision-platform/contracts/api/jobs";
import { createProject } from "@vision-platform/contracts/api/projects";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import { isTerminal } from "@vision-platform/contracts/job-state";
import type { ClientToServer, ServerToClient, SubscribeAnswer } from "@vision-platform/contracts/live";
import type { TaskType } from "@vision-platform/contracts/storage-manifests";
import { io, type Socket } from "socket.io-client";

export interface Person {
  api: ApiClient;
  token: string;
  user_id: number;
  email: string;
}

/** Makes an account with a name of its own. */
export async function newPerson(gatewayUrl: string, name: string): Promise<Person> {
  const email = `${name}-${randomBytes(4).toString("hex")}@example.com`;
  const session = await createApiClient(gatewayUrl).call(register, {
    body: { email, password: randomBytes(12).toString("hex"), name },
  });
  const api = createApiClient(gatewayUrl, session.access_token);
  return { api, token: session.access_token, user_id: session.user.id, email };
}

/** Uploads a zip as a new dataset and starts its ingest job. */
export async function importZip(
  person: Person,
  project_id: number,
  name: string,
  path: string,
  task_type: TaskType = "image_classification",
) {
  const bytes = readFileSync(path);
  const dataset = await person.api.call(createDataset, { body: { project_id, name, task_type } });
  const params = { dataset_id: dataset.id };
  const upload = await person.api.call(createUpload, {
    params,
    body: { filename: basename(path), bytes: bytes.length },
  });
  const target = upload.urls[0]?.url ?? "";
  const put = await fetch(target, { method: "PUT", body: bytes });
  if (!put.ok) throw new Error(`upload: HTTP ${put.status} ${await put.text()}`);
  const started = await person.api.call(completeUpload, {
    params: { ...params, upload_id: upload.upload_id },
    body: {},
  });
  return { dataset_id: dataset.id, job_id: started.job_id, version: started.version };
}

export async function projectWithDataset(
  person: Person,
  zip: string,
  task_type: TaskType = "image_classification",
): Promise<{ project_id: number; dataset_id: number }> {
  const project = await person.api.call(createProject, { body: { name: "digits" } });
  const { dataset_id, job_id } = await importZip(person, project.id, "digits", zip, task_type);
  const job = await untilOver(person, job_id);
  if (job.state !== "SUCCEEDED") throw new Error(`ingest ${job.state}: ${JSON.stringify(job.failure)}`);
  const dataset = await person.api.call(getDataset, { params: { dataset_id } });
  if (dataset.latest_version !== 1) throw new Error("no version is READY");
  return { project_id: project.id, dataset_id };
}

/** Polls until `enough` says yes. Rejects after the limit with the job as it is. */
export async function untilJob(
  person: Person,
  job_id: number,
  enough: (job: Job) => boolean,
  limit_s = 120,
): Promise<Job> {
  const limit = Date.now() + limit_s * 1000;
  let job: Job | undefined;
  let trouble: unknown;
  while (Date.now() < limit) {
    try {
      job = await person.api.call(getJob, { params: { job_id } });
      if (enough(job)) return job;
    } catch (error) {
      // The gateway may be away on purpose.
      trouble = error;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`job ${job_id} after ${limit_s} s: ${JSON.stringify(job)} ${trouble}`);
}

export function untilOver(person: Person, job_id: number, limit_s = 120): Promise<Job> {
  return untilJob(person, job_id, (job) => isTerminal(job.state), limit_s);
}

/** All committed events of a job, page by page. */
export async function allEvents(person: Person, job_id: number): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for (;;) {
    const page = await person.api.call(listJobEvents, {
      params: { job_id },
      query: { after: events.length, limit: 1000 },
    });
    events.push(...page.items);
    if (page.items.length === 0) return events;
  }
}

export type LiveSocket = Socket<ServerToClient, ClientToServer>;

export function openSocket(notifierUrl: string, token: string): LiveSocket {
  return io(notifierUrl, {
    transports: ["websocket"],
    auth: { token },
    reconnectionDelay: 100,
    reconnectionDelayMax: 500,
  });
}

export function subscribe(
  socket: LiveSocket,
  request: Parameters<ClientToServer["subscribe"]>[0],
): Promise<SubscribeAnswer> {
  return socket.timeout(10_000).emitWithAck("subscribe", request);
}

/**
 * Watches a job as a well-behaved client does: applies seq = last + 1, and after a reconnect or on a gap asks again from
 * its cursor. `raw` keeps everything that arrived, for claims about what the server sends.
 */
export function watch(socket: LiveSocket, job_id: number) {
  const applied: JobEvent[] = [];
  const raw: JobEvent[] = [];
  const again = () => void subscribe(socket, { job_id, after: applied.length }).catch(() => undefined);
  socket.on("connect", again);
  if (socket.connected) again();
  socket.on("job_event", (event) => {
    if (event.job_id !== job_id) return;
    raw.push(event);
    if (event.seq === applied.length + 1) applied.push(event);
    else if (event.seq > applied.length + 1) again();
  });
  socket.on("head", (head) => {
    if (head.job_id === job_id && head.last_seq > applied.length) again();
  });
  return { applied, raw };
}
