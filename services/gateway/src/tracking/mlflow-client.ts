/** The few calls of MLflow's REST API that the platform needs. Speaks HTTP and knows nothing of jobs. */
import { z } from "zod";

const TIMEOUT_MS = 10_000;

/** MLflow cannot be reached, or is not well: the same call may succeed later. */
export class MlflowAway extends Error {}

/** MLflow understood and refused: the same call will be refused again. `code` is MLflow's own, such as RESOURCE_DOES_NOT_EXIST. */
export class MlflowRefused extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export interface MlflowMetric {
  key: string;
  value: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  step: number;
}
export interface KeyValue {
  key: string;
  value: string;
}
export type RunStatus = "RUNNING" | "FINISHED" | "FAILED" | "KILLED";

export interface MlflowClient {
  /** The id of the experiment of that name, made when there is none. */
  experiment(name: string): Promise<string>;
  /** The newest run of the experiment that carries the tag; undefined without one. */
  findRun(experiment_id: string, tag: KeyValue): Promise<string | undefined>;
  createRun(
    experiment_id: string,
    run: { name: string; user: string; start_time: number; tags: KeyValue[] },
  ): Promise<string>;
  /** At most 1,000 metrics, 100 params and 100 tags. Sending the same again changes nothing. */
  logBatch(run_id: string, batch: { metrics?: MlflowMetric[]; params?: KeyValue[]; tags?: KeyValue[] }): Promise<void>;
  logDataset(run_id: string, dataset: { name: string; digest: string; uri: string }): Promise<void>;
  updateRun(run_id: string, status: RunStatus, end_time: number): Promise<void>;
}

export interface MlflowAccount {
  username?: string | undefined;
  password?: string | undefined;
  token?: string | undefined;
}

const Problem = z.object({ error_code: z.string().default("UNKNOWN"), message: z.string().default("") });
const Experiment = z.object({
  experiment: z.object({ experiment_id: z.string(), lifecycle_stage: z.string().optional() }),
});
const Run = z.object({ info: z.object({ run_id: z.string() }) });

function authorization({ username, password, token }: MlflowAccount): Record<string, string> {
  if (token) return { authorization: `Bearer ${token}` };
  if (username) return { authorization: `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}` };
  return {};
}

/** `base` is MLFLOW_TRACKING_URI. Every call rejects with MlflowAway or MlflowRefused, after 10 s at most. */
export function createMlflowClient(base: string, account: MlflowAccount = {}): MlflowClient {
  const root = `${base.replace(/\/+$/, "")}/api/2.0/mlflow/`;
  const headers = { "content-type": "application/json", ...authorization(account) };

  async function call(method: "GET" | "POST", path: string, content: Record<string, unknown>): Promise<unknown> {
    const query = method === "GET" ? `?${new URLSearchParams(content as Record<string, string>)}` : "";
    let answer: Response;
    let text: string;
    try {
      answer = await fetch(`${root}${path}${query}`, {
        method,
        headers,
        ...(method === "POST" ? { body: JSON.stringify(content) } : {}),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      text = await answer.text();
    } catch (cause) {
      throw new MlflowAway(`MLflow does not answer: ${(cause as Error).message}`, { cause });
    }
    if (answer.ok) return asJson(text);
    throw problemOf(answer.status, text);
  }

  async function experimentByName(experiment_name: string): Promise<string | undefined> {
    try {
      const { experiment } = Experiment.parse(await call("GET", "experiments/get-by-name", { experiment_name }));
      if (experiment.lifecycle_stage !== "deleted") return experiment.experiment_id;
      await call("POST", "experiments/restore", { experiment_id: experiment.experiment_id });
      return experiment.experiment_id;
    } catch (error) {
      if (error instanceof MlflowRefused && error.code === "RESOURCE_DOES_NOT_EXIST") return undefined;
      throw error;
    }
  }

  return {
    async experiment(name) {
      const existing = await experimentByName(name);
      if (existing !== undefined) return existing;
      try {
        return z.object({ experiment_id: z.string() }).parse(await call("POST", "experiments/create", { name }))
          .experiment_id;
      } catch (error) {
        // Another gateway was faster.
        const made = error instanceof MlflowRefused ? await experimentByName(name) : undefined;
        if (made === undefined) throw error;
        return made;
      }
    },
    async findRun(experiment_id, { key, value }) {
      const filter = `tags.\`${key}\` = '${value.replaceAll("'", "")}'`;
      const found = await call("POST", "runs/search", { experiment_ids: [experiment_id], filter, max_results: 1 });
      return z.object({ runs: z.array(Run).default([]) }).parse(found).runs[0]?.info.run_id;
    },
    async createRun(experiment_id, { name, user, start_time, tags }) {
      const made = await call("POST", "runs/create", {
        experiment_id,
        run_name: name,
        user_id: user,
        start_time,
        tags,
      });
      return z.object({ run: Run }).parse(made).run.info.run_id;
    },
    async logBatch(run_id, batch) {
      await call("POST", "runs/log-batch", { run_id, ...batch });
    },
    async logDataset(run_id, { name, digest, uri }) {
      const dataset = { name, digest, source_type: "s3", source: JSON.stringify({ uri }) };
      const tags = [{ key: "mlflow.data.context", value: "training" }];
      await call("POST", "runs/log-inputs", { run_id, datasets: [{ dataset, tags }] });
    },
    async updateRun(run_id, status, end_time) {
      await call("POST", "runs/update", { run_id, status, end_time });
    },
  };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MlflowAway("what answers at MLFLOW_TRACKING_URI is not MLflow", { cause });
  }
}

function problemOf(status: number, text: string): Error {
  // Not a job's fault: the server is busy, the account wrong, or the server does not accept the host name it is called by.
  if (status >= 500 || [401, 403, 408, 429].includes(status)) {
    const hint = status === 403 ? " (MLflow 3.5 and later want this host in --allowed-hosts)" : "";
    return new MlflowAway(`MLflow answers ${status}${hint}: ${text.slice(0, 200)}`);
  }
  let problem = { error_code: "UNKNOWN", message: text.slice(0, 500) };
  try {
    problem = Problem.parse(JSON.parse(text));
  } catch {
    // A proxy in front of it: its words are all there is.
  }
  return new MlflowRefused(problem.error_code, `MLflow answers ${status}: ${problem.message}`);
}
