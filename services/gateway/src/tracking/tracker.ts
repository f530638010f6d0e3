/**
 * Tells MLflow of every training, from the committed events and at its own pace: a slow or absent MLflow delays nothing
 * and misses nothing, because a cursor for each job says how far it has been told.
 */
import type { Health } from "@vision-platform/common/health";
import type { Logger } from "@vision-platform/common/logger";
import { jobPrefix, s3Uri } from "@vision-platform/contracts/names";
import { Gauge } from "prom-client";
import type { Pool } from "../db/db.ts";
import { createMlflowClient, MlflowAway, type MlflowClient, MlflowRefused } from "./mlflow-client.ts";
import {
  BATCH_METRICS,
  BATCH_PARAMS,
  BATCH_TAGS,
  finalStatus,
  identityTag,
  inBatches,
  metricsOf,
  outcomeTags,
  paramsOf,
  tagsOf,
} from "./run-record.ts";
import {
  countUntold,
  giveBack,
  metricsAfter,
  noteTrainings,
  saveRefusal,
  saveRun,
  saveTold,
  type TrackedJob,
  takeTrainings,
} from "./tracking.repository.ts";

const EVERY_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;
const TRAININGS_AT_ONCE = 20;
const EVENTS_AT_ONCE = 500;
/** A training with more news than this goes on at the next turn, so that the others have theirs. */
const ROUNDS = 20;
const REFUSALS = 8;

export interface TrackingSettings {
  MLFLOW_TRACKING_URI?: string | undefined;
  MLFLOW_TRACKING_USERNAME?: string | undefined;
  MLFLOW_TRACKING_PASSWORD?: string | undefined;
  MLFLOW_TRACKING_TOKEN?: string | undefined;
  STORAGE_BUCKET: string;
}
export interface TrackingParts {
  config: TrackingSettings;
  db: Pool;
  logger: Logger;
  health: Pick<Health, "registry">;
}
export interface Tracker {
  stop(): Promise<void>;
}

/** Runs in every gateway; each training is told by one at a time. Without MLFLOW_TRACKING_URI it does nothing. */
export function startTracker({ config, db, logger, health }: TrackingParts): Tracker {
  if (config.MLFLOW_TRACKING_URI === undefined) return { stop: async () => undefined };
  const client = createMlflowClient(config.MLFLOW_TRACKING_URI, {
    username: config.MLFLOW_TRACKING_USERNAME,
    password: config.MLFLOW_TRACKING_PASSWORD,
    token: config.MLFLOW_TRACKING_TOKEN,
  });
  const teller = createTeller(client, db, config.STORAGE_BUCKET);
  let away = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  addGauges(health, db, () => away === 0);

  async function turn(): Promise<void> {
    try {
      await noteTrainings(db);
      await tellAll(db, teller, logger, () => stopped);
      if (away > 0) logger.info("MLflow answers again");
      away = 0;
    } catch (error) {
      if (away === 0) logger.warn({ err: error }, "MLflow cannot be told now; trainings go on, it will be told later");
      away += 1;
    }
  }

  function schedule(): void {
    if (stopped) return;
    const pause = Math.min(LONGEST_PAUSE_MS, EVERY_MS * 2 ** Math.min(away, 10));
    timer = setTimeout(() => {
      running = turn().then(schedule);
    }, pause);
  }
  schedule();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

type Teller = (job: TrackedJob) => Promise<void>;

/** One turn: every training with news. Rejects with MlflowAway as soon as MLflow does not answer, having given the rest back. */
async function tellAll(db: Pool, tell: Teller, logger: Logger, stopped: () => boolean): Promise<void> {
  for (;;) {
    const jobs = await takeTrainings(db, TRAININGS_AT_ONCE);
    if (jobs.length === 0) return;
    for (const [index, job] of jobs.entries()) {
      try {
        if (stopped()) throw new MlflowAway("the gateway stops");
        await tell(job);
      } catch (error) {
        if (!(error instanceof MlflowRefused)) {
          await giveBack(
            db,
            jobs.slice(index).map(({ job_id }) => job_id),
          );
          if (stopped()) return;
          throw error;
        }
        logger.warn({ err: error, job_id: job.job_id }, "MLflow refuses what it is told of this training");
        await saveRefusal(db, job.job_id, error.message, REFUSALS);
      }
    }
  }
}

function createTeller(client: MlflowClient, db: Pool, bucket: string): Teller {
  const experiments = new Map<string, string>();

  async function experimentOf(job: TrackedJob): Promise<string> {
    const name = job.project_name.slice(0, 500);
    const id = experiments.get(name) ?? (await client.experiment(name));
    experiments.set(name, id);
    return id;
  }

  /** Looked for before it is made: the gateway may have died between making it and remembering it. */
  async function openRun(job: TrackedJob): Promise<string> {
    const output_uri = s3Uri(bucket, jobPrefix(job.job_id));
    const experiment_id = await experimentOf(job);
    const tags = tagsOf(job, bucket, output_uri);
    const made = { name: job.name, user: job.user_email, start_time: job.started_at.getTime(), tags };
    const found = await client.findRun(experiment_id, identityTag(job.job_id, bucket));
    const run_id = found ?? (await client.createRun(experiment_id, made));
    await saveRun(db, job.job_id, run_id);
    return run_id;
  }

  async function describe(run_id: string, job: TrackedJob): Promise<void> {
    for (const params of inBatches(paramsOf(job), BATCH_PARAMS)) await client.logBatch(run_id, { params });
    const version = `d${job.dataset_id}v${job.dataset_version}`;
    const uri = s3Uri(bucket, `datasets/${job.dataset_id}/v${job.dataset_version}/`);
    await client.logDataset(run_id, { name: job.dataset_name, digest: version, uri });
  }

  return async function tell(job) {
    const run_id = job.run_id ?? (await openRun(job));
    if (job.seq === 0) await describe(run_id, job);
    let { seq } = job;
    for (let round = 0; round < ROUNDS; round += 1) {
      const events = await metricsAfter(db, job.job_id, seq, EVENTS_AT_ONCE);
      for (const metrics of inBatches(metricsOf(events), BATCH_METRICS)) await client.logBatch(run_id, { metrics });
      const newest = events.at(-1);
      // Nothing but metrics is told, so without a full page everything up to what the job's row said is told.
      seq = events.length < EVENTS_AT_ONCE ? Math.max(job.last_seq, newest?.seq ?? 0) : (newest?.seq ?? seq);
      if (events.length < EVENTS_AT_ONCE) break;
    }
    for (const tags of inBatches(outcomeTags(job), BATCH_TAGS)) await client.logBatch(run_id, { tags });
    const status = seq >= job.last_seq ? finalStatus(job.state) : undefined;
    if (status !== undefined) await client.updateRun(run_id, status, (job.finished_at ?? new Date()).getTime());
    await saveTold(db, job.job_id, seq, status !== undefined);
  };
}

function addGauges(health: Pick<Health, "registry">, db: Pool, answers: () => boolean): void {
  const registers = [health.registry];
  new Gauge({
    name: "vision_platform_mlflow_up",
    help: "1 while MLflow takes what it is told",
    registers,
    collect() {
      this.set(answers() ? 1 : 0);
    },
  });
  new Gauge({
    name: "vision_platform_mlflow_untold_trainings",
    help: "Trainings with news that MLflow has not been told yet",
    registers,
    async collect() {
      const untold = await countUntold(db).catch(() => undefined);
      if (untold === undefined) this.remove();
      else this.set(untold);
    },
  });
}
