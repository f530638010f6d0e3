/** The tables as Kysely sees them; migrations/ makes them. */

import type { JobProgress } from "@vision-platform/contracts/api/jobs";
import type { Role } from "@vision-platform/contracts/api/projects";
import type { Gpu, LauncherName } from "@vision-platform/contracts/api/workers";
import type { Failure } from "@vision-platform/contracts/failure-codes";
import type { AttemptOutcome, JobKind, JobState } from "@vision-platform/contracts/job-state";
import type { LastWord } from "@vision-platform/contracts/last-word";
import type { DatasetSummary, Finding, TaskType } from "@vision-platform/contracts/storage-manifests";
import type { ColumnType, Generated, GeneratedAlways, JSONColumnType, Selectable } from "kysely";

type Time = ColumnType<Date, Date | string | undefined, Date | string>;
type NullableTime = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
type Json<Value extends object> = JSONColumnType<Value, string | undefined, string>;
type NullableJson<Value extends object> = ColumnType<Value | null, string | null | undefined, string | null>;
/** bigint comes as a string from pg; db.ts registers a parser that makes it a number. */
type Int8 = ColumnType<number, number, number>;

export interface UsersTable {
  id: GeneratedAlways<number>;
  email: string;
  name: string;
  password_hash: string;
  is_admin: Generated<boolean>;
  created_at: Time;
}
export interface RefreshTokensTable {
  token_hash: string;
  family_id: string;
  user_id: number;
  used_at: NullableTime;
  revoked_at: NullableTime;
  expires_at: Time;
  created_at: Time;
}
export interface ApiKeysTable {
  id: GeneratedAlways<number>;
  user_id: number;
  name: string;
  prefix: string;
  key_hash: string;
  expires_at: NullableTime;
  last_used_at: NullableTime;
  created_at: Time;
}
export interface ProjectsTable {
  id: GeneratedAlways<number>;
  name: string;
  created_at: Time;
}
export interface ProjectMembersTable {
  project_id: number;
  user_id: number;
  role: Role;
}
export interface DatasetsTable {
  id: GeneratedAlways<number>;
  project_id: number;
  name: string;
  task_type: TaskType;
  created_at: Time;
}
export interface DatasetVersionsTable {
  dataset_id: number;
  version: number;
  state: Generated<"INGESTING" | "READY" | "INVALID">;
  job_id: number;
  filename: string;
  summary: NullableJson<DatasetSummary>;
  findings: Json<Finding[]>;
  finding_counts: Json<{ error: number; warning: number }>;
  created_at: Time;
}
export interface UploadsTable {
  id: string;
  dataset_id: number;
  filename: string;
  bytes: Int8;
  multipart_id: string | null;
  completed_version: number | null;
  expires_at: Time;
  created_at: Time;
}
export interface JobsTable {
  id: GeneratedAlways<number>;
  project_id: number;
  created_by: number;
  kind: JobKind;
  name: string;
  notes: Generated<string>;
  tags: Generated<string[]>;
  framework: string;
  model_name: string;
  task_type: TaskType;
  dataset_id: number;
  dataset_version: number;
  epochs: number;
  batch_size: number;
  learning_rate: number;
  seed: number;
  gpus: Generated<number>;
  min_vram_gb: ColumnType<number | null, number | null | undefined, number | null>;
  source_job_id: number | null;
  checkpoint: "best" | "last" | null;
  primary_metric: string | null;
  metric_direction: "max" | "min" | null;
  config: Json<Record<string, unknown>>;
  state: Generated<JobState>;
  phase: string | null;
  attempt: Generated<number>;
  last_seq: Generated<number>;
  waiting_reason: string | null;
  not_before: NullableTime;
  cancel_requested_at: NullableTime;
  progress: Json<JobProgress>;
  metrics: Json<Record<string, number | null>>;
  failure: NullableJson<Failure>;
  trace_id: string;
  traceparent: string;
  created_at: Time;
  queued_at: NullableTime;
  started_at: NullableTime;
  finished_at: NullableTime;
}
export interface AttemptsTable {
  job_id: number;
  attempt: number;
  worker_id: string | null;
  host: string | null;
  launcher: Generated<LauncherName>;
  gpu_ids: Generated<string[]>;
  lease_token: string | null;
  lease_until: NullableTime;
  last_src_seq: Generated<number>;
  last_worker_seq: Generated<number>;
  last_event_at: NullableTime;
  resume_uri: string | null;
  terminal_event: NullableJson<LastWord>;
  resources: NullableJson<Record<string, unknown>>;
  outcome: AttemptOutcome | null;
  exit_code: number | null;
  failure: NullableJson<Failure>;
  log_bytes: ColumnType<number | null, number | null | undefined, number | null>;
  claimed_at: NullableTime;
  finished_at: NullableTime;
  created_at: Time;
}
export interface JobEventsTable {
  job_id: number;
  seq: number;
  attempt: number;
  src: "gateway" | "worker" | "trainer";
  src_seq: number | null;
  type: string;
  ts: Time;
  data: Json<Record<string, unknown>>;
  received_at: Time;
}
export interface ArtifactsTable {
  job_id: number;
  name: string;
  attempt: number;
  uri: string;
  sha256: string;
  bytes: Int8;
  media_type: string;
}
export interface IdempotencyKeysTable {
  user_id: number;
  operation: string;
  key: string;
  body_hash: string;
  status: number;
  response: Json<object>;
  created_at: Time;
}
export interface WorkersTable {
  worker_id: string;
  framework: string;
  host: string;
  slots: number;
  busy: number;
  stopping: boolean;
  launcher: Generated<LauncherName>;
  launcher_reason: Generated<string>;
  gpus: Json<Gpu[]>;
  last_seen: Time;
}

export interface MlflowRunsTable {
  job_id: number;
  run_id: string | null;
  seq: Generated<number>;
  ended: Generated<boolean>;
  leased_until: NullableTime;
  not_before: NullableTime;
  refusals: Generated<number>;
  error: string | null;
  told_at: NullableTime;
}

export interface Database {
  users: UsersTable;
  refresh_tokens: RefreshTokensTable;
  api_keys: ApiKeysTable;
  projects: ProjectsTable;
  project_members: ProjectMembersTable;
  datasets: DatasetsTable;
  dataset_versions: DatasetVersionsTable;
  uploads: UploadsTable;
  jobs: JobsTable;
  attempts: AttemptsTable;
  job_events: JobEventsTable;
  artifacts: ArtifactsTable;
  idempotency_keys: IdempotencyKeysTable;
  workers: WorkersTable;
  mlflow_runs: MlflowRunsTable;
}
export type JobRow = Selectable<JobsTable>;
export type AttemptRow = Selectable<AttemptsTable>;
