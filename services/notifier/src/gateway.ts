/** What the notifier asks of the gateway: whose token it is, who may watch what, and what happened after a cursor. */
import { type ApiClient, createApiClient } from "@vision-platform/common/api-client";
import { unavailable } from "@vision-platform/common/app-error";
import {
  checkSubscriptions,
  type JobHead,
  replayEvents,
  type Subscription,
  verifyToken,
} from "@vision-platform/contracts/api/internal";
import type { JobEvent } from "@vision-platform/contracts/job-events";
import type { z } from "zod";

export type Wanted = z.infer<typeof Subscription>;
export interface Identity {
  user_id: number;
  is_admin: boolean;
  expires_at: string | null;
}
export interface Permission {
  status: "ok" | "not_found" | "forbidden";
  /** Of the job, or of the project's jobs that are not over. */
  heads: JobHead[];
}

/** Events of one page: at 16 KiB each, 4 MiB at most wait for a slow reader. */
const PAGE = 250;
const TIMEOUT_MS = 5_000;
/** Subscriptions that arrive within this time share one question: after a restart there are thousands at once. */
const BATCH_MS = 5;
const MAX_BATCH = 2_000;

export class GatewayPort {
  readonly #api: ApiClient;
  #batch: { wanted: Wanted[]; answer: Promise<Permission[]> } | undefined;

  constructor(url: string, internalToken: string) {
    this.#api = createApiClient(url, internalToken);
  }

  /** Rejects with AppError: 401 for a token that is not valid, 503 when the gateway does not answer. */
  identify(token: string): Promise<Identity> {
    return this.#api.call(verifyToken, { body: { token }, timeout: TIMEOUT_MS });
  }

  /** A page of committed events with seq > after, in order. */
  async replay(jobId: number, after: number): Promise<JobEvent[]> {
    const query = { after, limit: PAGE };
    return (await this.#api.call(replayEvents, { params: { job_id: jobId }, query, timeout: TIMEOUT_MS })).items;
  }

  /** May this user watch that, and how far is it? Questions of the same few milliseconds travel together. */
  async mayWatch(wanted: Wanted): Promise<Permission> {
    if (this.#batch === undefined || this.#batch.wanted.length >= MAX_BATCH) {
      const list: Wanted[] = [];
      this.#batch = { wanted: list, answer: this.#askLater(list) };
    }
    const index = this.#batch.wanted.push(wanted) - 1;
    const permission = (await this.#batch.answer)[index];
    if (permission === undefined) throw unavailable("the gateway's answer is incomplete");
    return permission;
  }

  /** The same for many at once, in the order asked. */
  async mayWatchAll(wanted: Wanted[]): Promise<Permission[]> {
    if (wanted.length === 0) return [];
    const { results, heads } = await this.#api.call(checkSubscriptions, {
      body: { subscriptions: wanted },
      timeout: TIMEOUT_MS,
    });
    const byJob = new Map(heads.map((head) => [head.job_id, head]));
    const byProject = Map.groupBy(heads, (head) => head.project_id);
    return wanted.map(({ job_id, project_id }, index) => {
      const ofJob = job_id === undefined ? undefined : byJob.get(job_id);
      const ofProject = project_id === undefined ? [] : (byProject.get(project_id) ?? []);
      return { status: results[index]?.status ?? "not_found", heads: ofJob === undefined ? ofProject : [ofJob] };
    });
  }

  /** Rejects when the gateway is not alive. */
  async check(): Promise<void> {
    const response = await fetch(new URL("/health", this.#api.baseUrl), { signal: AbortSignal.timeout(2_500) });
    if (!response.ok) throw new Error(`the gateway answers ${response.status}`);
  }

  async #askLater(wanted: Wanted[]): Promise<Permission[]> {
    await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
    if (this.#batch?.wanted === wanted) this.#batch = undefined;
    return this.mayWatchAll(wanted);
  }
}
