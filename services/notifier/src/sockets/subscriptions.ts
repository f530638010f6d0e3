/** `subscribe` and `unsubscribe` of one socket, and the end of a subscription from our side. */
import type { Logger } from "@vision-platform/common/logger";
import { type SubscribeAnswer, SubscribeRequest, type SubscriptionEnded } from "@vision-platform/contracts/live";
import type { Feeds } from "../feeds/feeds.ts";
import type { GatewayPort, Permission } from "../gateway.ts";
import type { Reader } from "../readers/reader.ts";
import { jobRoom, type LiveSocket, projectRoom } from "./server.ts";

export const MAX_SUBSCRIPTIONS = 100;
type Refusal = Extract<SubscribeAnswer, { ok: false }>;
type Acknowledge = (answer: SubscribeAnswer) => void;

type Target = { job_id: number; after?: number } | { project_id: number };

function targetOf(request: SubscribeRequest): Target {
  if (typeof request !== "string") return request;
  const [kind, id] = request.split(":");
  return kind === "job" ? { job_id: Number(id) } : { project_id: Number(id) };
}

function refuse(code: Refusal["code"], error: string): Refusal {
  return { ok: false, code, error };
}

function refusalOf({ status }: Permission, name: string): Refusal {
  return status === "forbidden"
    ? refuse("forbidden", `you are no member of the project of ${name}`)
    : refuse("not_found", `there is no ${name}`);
}

export class Subscriptions {
  readonly #socket: LiveSocket;
  readonly #reader: Reader;
  readonly #feeds: Feeds;
  readonly #gateway: GatewayPort;
  readonly #logger: Logger;
  #pending = 0;

  constructor(socket: LiveSocket, feeds: Feeds, gateway: GatewayPort, logger: Logger) {
    this.#socket = socket;
    this.#reader = socket.data.reader;
    this.#feeds = feeds;
    this.#gateway = gateway;
    this.#logger = logger;
    socket.on("subscribe", (request, acknowledge) => void this.#subscribe(request, acknowledge));
    socket.on("unsubscribe", (request, acknowledge) => this.#unsubscribe(request, acknowledge));
    socket.on("disconnect", () => this.#leaveAll());
  }

  /** Ends one subscription from our side and says so. */
  end(ended: SubscriptionEnded): void {
    if (ended.job_id !== undefined) this.#leaveJob(ended.job_id);
    if (ended.project_id !== undefined) this.#leaveProject(ended.project_id);
    this.#socket.emit("subscription_ended", ended);
  }

  /** Ends all of them. */
  endAll(reason: SubscriptionEnded["reason"]): void {
    for (const job_id of [...this.#reader.jobs]) this.end({ job_id, reason });
    for (const project_id of [...this.#reader.projects]) this.end({ project_id, reason });
  }

  async #subscribe(request: unknown, acknowledge: unknown): Promise<void> {
    const answer = (typeof acknowledge === "function" ? acknowledge : () => undefined) as Acknowledge;
    const parsed = SubscribeRequest.safeParse(request);
    if (!parsed.success) return answer(refuse("bad_request", "give 'job:<id>', 'project:<id>' or {job_id, after}"));
    const { jobs, projects } = this.#reader;
    if (jobs.size + projects.size + this.#pending >= MAX_SUBSCRIPTIONS) {
      return answer(refuse("limit", `a connection has at most ${MAX_SUBSCRIPTIONS} subscriptions`));
    }
    this.#pending += 1;
    try {
      const target = targetOf(parsed.data);
      await ("job_id" in target
        ? this.#subscribeJob(target.job_id, target.after, answer)
        : this.#subscribeProject(target.project_id, answer));
    } catch (error) {
      this.#logger.warn({ err: error }, "subscription could not be checked");
      answer(refuse("unavailable", "the gateway does not answer, try again"));
    } finally {
      this.#pending -= 1;
    }
  }

  async #subscribeJob(jobId: number, after: number | undefined, answer: Acknowledge): Promise<void> {
    this.#feeds.openJob(jobId);
    let head: Permission["heads"][number] | undefined;
    try {
      const permission = await this.#gateway.mayWatch({ user_id: this.#socket.data.userId, job_id: jobId });
      if (permission.status !== "ok") return answer(refusalOf(permission, `job ${jobId}`));
      const [found] = permission.heads;
      if (found === undefined) return answer(refuse("not_found", `there is no job ${jobId}`));
      if ((after ?? 0) > found.last_seq) {
        return answer(refuse("bad_request", `after is ${after}, but job ${jobId} has ${found.last_seq} events`));
      }
      if (this.#socket.connected) head = found;
    } finally {
      if (head === undefined) this.#feeds.abandonJob(jobId);
    }
    if (head === undefined) return;
    void this.#socket.join(jobRoom(jobId));
    answer({ ok: true, head: head.last_seq, state: head.state });
    this.#feeds.joinJob(this.#reader, head, after);
  }

  async #subscribeProject(projectId: number, answer: Acknowledge): Promise<void> {
    this.#feeds.openProject(projectId);
    let heads: Permission["heads"] | undefined;
    try {
      const permission = await this.#gateway.mayWatch({ user_id: this.#socket.data.userId, project_id: projectId });
      if (permission.status !== "ok") return answer(refusalOf(permission, `project ${projectId}`));
      if (this.#socket.connected) heads = permission.heads;
    } finally {
      if (heads === undefined) this.#feeds.abandonProject(projectId);
    }
    if (heads === undefined) return;
    void this.#socket.join(projectRoom(projectId));
    answer({ ok: true, head: 0 });
    this.#feeds.joinProject(this.#reader, projectId, heads);
  }

  #unsubscribe(request: unknown, acknowledge: unknown): void {
    const parsed = SubscribeRequest.safeParse(request);
    if (parsed.success) {
      const target = targetOf(parsed.data);
      if ("job_id" in target) this.#leaveJob(target.job_id);
      else this.#leaveProject(target.project_id);
    }
    if (typeof acknowledge === "function") acknowledge({ ok: parsed.success });
  }

  #leaveJob(jobId: number): void {
    void this.#socket.leave(jobRoom(jobId));
    this.#feeds.leaveJob(this.#reader, jobId);
  }

  #leaveProject(projectId: number): void {
    void this.#socket.leave(projectRoom(projectId));
    this.#feeds.leaveProject(this.#reader, projectId);
  }

  #leaveAll(): void {
    for (const jobId of [...this.#reader.jobs]) this.#feeds.leaveJob(this.#reader, jobId);
    for (const projectId of [...this.#reader.projects]) this.#feeds.leaveProject(this.#reader, projectId);
  }
}
