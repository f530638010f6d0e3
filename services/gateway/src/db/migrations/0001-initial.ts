import { type Kysely, sql } from "kysely";

/** Accounts, projects, datasets, jobs, attempts, events. Names are those of the wire. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table users (
    id integer generated always as identity primary key,
    email text not null unique,
    name text not null,
    password_hash text not null,
    is_admin boolean not null default false,
    created_at timestamptz not null default now()
  )`,
  // One row per refresh token; rotation keeps the family, and a used token seen again ends the family.
  `create table refresh_tokens (
    token_hash text primary key,
    family_id uuid not null,
    user_id integer not null references users on delete cascade,
    used_at timestamptz,
    revoked_at timestamptz,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
  )`,
  `create index refresh_tokens_family on refresh_tokens (family_id)`,
  `create table api_keys (
    id integer generated always as identity primary key,
    user_id integer not null references users on delete cascade,
    name text not null,
    prefix text not null,
    key_hash text not null unique,
    expires_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz not null default now()
  )`,
  `create table projects (
    id integer generated always as identity primary key,
    name text not null,
    created_at timestamptz not null default now()
  )`,
  `create table project_members (
    project_id integer not null references projects on delete cascade,
    user_id integer not null references users on delete cascade,
    role text not null check (role in ('owner', 'editor', 'viewer')),
    primary key (project_id, user_id)
  )`,
  `create index project_members_user on project_members (user_id)`,
  `create table datasets (
    id integer generated always as identity primary key,
    project_id integer not null references projects on delete cascade,
    name text not null,
    task_type text not null,
    created_at timestamptz not null default now(),
    unique (project_id, name)
  )`,
  `create table jobs (
    id integer generated always as identity primary key,
    project_id integer not null references projects on delete cascade,
    created_by integer not null references users,
    kind text not null,
    name text not null,
    notes text not null default '',
    tags text[] not null default '{}',
    framework text not null,
    model_name text not null,
    task_type text not null,
    dataset_id integer not null references datasets,
    dataset_version integer not null,
    epochs integer not null,
    batch_size integer not null,
    learning_rate double precision not null,
    seed integer not null,
    config jsonb not null default '{}',
    state text not null default 'PENDING'
      check (state in ('PENDING', 'QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    phase text,
    -- The fence: every write on behalf of an attempt names it, and only the newest counts.
    attempt integer not null default 0,
    last_seq integer not null default 0,
    -- Why it is waiting between attempts, in words; null while it simply waits for a slot.
    waiting_reason text,
    -- A lost attempt's successor is not dispatched before this moment.
    not_before timestamptz,
    cancel_requested_at timestamptz,
    progress jsonb not null default '{}',
    metrics jsonb not null default '{}',
    failure jsonb,
    trace_id text not null,
    traceparent text not null,
    created_at timestamptz not null default now(),
    queued_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz
  )`,
  `create index jobs_project on jobs (project_id, id desc)`,
  `create index jobs_live on jobs (state, framework, queued_at) where state in ('QUEUED', 'RUNNING')`,
  `create table attempts (
    job_id integer not null references jobs on delete cascade,
    attempt integer not null,
    worker_id text,
    host text,
    lease_token text,
    -- Judged by the database's clock only.
    lease_until timestamptz,
    -- Highest src_seq taken from the trainer, and from the worker about it.
    last_src_seq integer not null default 0,
    last_worker_seq integer not null default 0,
    last_event_at timestamptz,
    resume_uri text,
    terminal_event jsonb,
    resources jsonb,
    outcome text,
    exit_code integer,
    failure jsonb,
    log_bytes bigint,
    claimed_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (job_id, attempt)
  )`,
  `create index attempts_leased on attempts (lease_until) where lease_until is not null and outcome is null`,
  `create table job_events (
    job_id integer not null references jobs on delete cascade,
    seq integer not null,
    attempt integer not null,
    src text not null check (src in ('gateway', 'worker', 'trainer')),
    src_seq integer,
    type text not null,
    ts timestamptz not null,
    data jsonb not null,
    received_at timestamptz not null default now(),
    primary key (job_id, seq)
  )`,
  `create unique index job_events_source on job_events (job_id, attempt, src, src_seq) where src_seq is not null`,
  `create index job_events_type on job_events (job_id, type, seq)`,
  `create table artifacts (
    job_id integer not null references jobs on delete cascade,
    name text not null,
    attempt integer not null,
    uri text not null,
    sha256 text not null,
    bytes bigint not null,
    media_type text not null,
    primary key (job_id, name)
  )`,
  `create table dataset_versions (
    dataset_id integer not null references datasets on delete cascade,
    version integer not null,
    state text not null default 'INGESTING' check (state in ('INGESTING', 'READY', 'INVALID')),
    job_id integer not null references jobs,
    filename text not null,
    summary jsonb,
    findings jsonb not null default '[]',
    finding_counts jsonb not null default '{"error":0,"warning":0}',
    created_at timestamptz not null default now(),
    primary key (dataset_id, version)
  )`,
  `create index dataset_versions_job on dataset_versions (job_id)`,
  `create table uploads (
    id text primary key,
    dataset_id integer not null references datasets on delete cascade,
    filename text not null,
    bytes bigint not null,
    -- The storage's own id of a multipart upload; null for a single PUT.
    multipart_id text,
    completed_version integer,
    expires_at timestamptz not null,
    created_at timestamptz not null default now()
  )`,
  `create table idempotency_keys (
    user_id integer not null references users on delete cascade,
    operation text not null,
    key text not null,
    body_hash text not null,
    status integer not null,
    response jsonb not null,
    created_at timestamptz not null default now(),
    primary key (user_id, operation, key)
  )`,
  `create table workers (
    worker_id text primary key,
    framework text not null,
    host text not null,
    slots integer not null,
    busy integer not null,
    stopping boolean not null,
    last_seen timestamptz not null default now()
  )`,
];
