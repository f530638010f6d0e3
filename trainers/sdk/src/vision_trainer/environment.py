"""The contract's input: environment variables, checked one by one, secrets taken out afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .environment_values import ABSENT, Problems, VariableReader
from .initial_environment import wipe_initial_environment

JOB_KINDS = ("ingest", "train", "evaluate", "predict", "export")
# Jobs that work on what a training left behind (MODEL_URI).
DERIVED_KINDS = ("evaluate", "predict", "export")
EVENT_MODES = ("redis", "http", "stdout")
STORAGE_TYPES = ("minio", "r2", "s3")
CONFIG_LIMIT_BYTES = 32 * 1024

_IDENTIFIER = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}"
_S3_URI = r"s3://[a-z0-9][a-z0-9.-]{1,62}/.+"
_HTTP_URL = r"https?://[^\s/]+.*"
_REDIS_URL = r"(rediss?://[^\s]+|unix://[^\s]+)"
_TRACEPARENT = r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"

# Every variable whose value must not be readable by third-party code, prints or crash dumps.
SECRET_VARIABLES = (
    "CALLBACK_TOKEN",
    "EVENTS_REDIS_URL",
    *(
        f"{prefix}_{name}"
        for prefix in ("S3", "MINIO", "R2", "AWS")
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN")
    ),
)


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where the job's objects live, and the key that opens the door."""

    type: str
    bucket: str
    endpoint: str | None
    region: str
    force_path_style: bool
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Where events go. `callback_url` is the base, before `/v1/jobs/{id}/…`."""

    mode: str
    job_id: int
    attempt: int
    redis_url: str | None = field(default=None, repr=False)
    stream: str | None = None
    callback_url: str | None = None
    callback_token: str | None = field(default=None, repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> EventSettings:
        """Reads the event variables alone, so that a bad variable elsewhere can still be reported as an event."""
        problems = Problems()
        settings = _event_settings(VariableReader(environ, problems))
        problems.raise_if_any()
        return settings


@dataclass(frozen=True, slots=True)
class TrainerEnvironment:
    """Everything a trainer is told. Durations are in seconds; URIs are `s3://bucket/key`."""

    job_id: int
    attempt: int
    trace_id: str
    traceparent: str | None
    job_kind: str
    framework: str
    task_type: str
    model_name: str | None
    dataset_id: str | None
    dataset_version: str | None
    dataset_uri: str
    output_uri: str
    resume_uri: str | None
    pretrained_uri: str | None
    model_uri: str | None
    config: dict[str, Any]
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    seed: int
    device: str
    num_workers: int | None
    num_processes: int
    cache_dir: Path | None
    backend_base_url: str | None
    heartbeat_s: float
    grace_s: float
    max_runtime_s: float | None
    checkpoint_every_s: float
    allow_network: bool
    stop_reason_file: Path | None
    events: EventSettings
    storage: StorageSettings

    @classmethod
    def from_environ(
        cls, environ: MutableMapping[str, str] = os.environ, *, kinds: Sequence[str] = JOB_KINDS
    ) -> TrainerEnvironment:
        """Reads and checks all variables, then removes the secrets from `environ`.

        `kinds` are the kinds of jobs that this trainer serves; of another one nothing more is asked.
        Raises TrainerFailure(BAD_CONFIG) with one line a bad variable: its name, what was found, what is expected.
        """
        problems = Problems()
        reader = VariableReader(environ, problems)
        reader.pattern("CONTRACT_VERSION", r"1", "1, the version this trainer speaks")
        job_kind = reader.choice("JOB_KIND", JOB_KINDS)
        served = job_kind in kinds
        if job_kind in JOB_KINDS and not served:
            problems.add("JOB_KIND", repr(job_kind), f"{' or '.join(kinds)} for this trainer")
        training = served and job_kind == "train"
        derived = served and job_kind in DERIVED_KINDS
        traceparent = reader.pattern("TRACEPARENT", _TRACEPARENT, "a W3C traceparent", default=None)
        events = _event_settings(reader)
        settings = cls(
            job_id=events.job_id,
            attempt=events.attempt,
            trace_id=_trace_id(reader, traceparent),
            traceparent=traceparent,
            job_kind=job_kind,
            framework=reader.pattern("FRAMEWORK", _IDENTIFIER, "a framework name such as timm"),
            task_type=reader.pattern("TASK_TYPE", r"[a-z][a-z0-9_]{1,63}", "a task such as image_classification"),
            model_name=reader.pattern(
                "MODEL_NAME", r"[A-Za-z0-9][\w.:/@-]{0,199}", "a model name", default=ABSENT if training else None
            ),
            dataset_id=reader.pattern("DATASET_ID", _IDENTIFIER, "a dataset id", default=None),
            dataset_version=reader.pattern("DATASET_VERSION", _IDENTIFIER, "a dataset version", default=None),
            dataset_uri=reader.pattern("DATASET_URI", _S3_URI, "s3://bucket/prefix/"),
            output_uri=reader.pattern("OUTPUT_URI", _S3_URI, "s3://bucket/prefix/"),
            resume_uri=reader.pattern("RESUME_URI", _S3_URI, "s3://bucket/prefix/", default=None),
            pretrained_uri=reader.pattern("PRETRAINED_URI", _S3_URI, "s3://bucket/key", default=None),
            model_uri=reader.pattern(
                "MODEL_URI", _S3_URI, "a training's checkpoint, s3://bucket/key", default=ABSENT if derived else None
            ),
            config=reader.json_object("CONFIG_JSON", CONFIG_LIMIT_BYTES),
            epochs=reader.integer("EPOCHS", 1, 100_000, default=ABSENT if training else None),
            batch_size=reader.integer("BATCH_SIZE", 1, 65_536, default=ABSENT if training else None),
            learning_rate=reader.number(
                "LEARNING_RATE", 0.0, 1000.0, default=ABSENT if training else None, above_minimum=True
            ),
            seed=reader.integer("SEED", 0, 2**53 - 1, default=0),
            device=reader.pattern("DEVICE", r"auto|cpu|cuda(:\d{1,2})?", "auto, cpu, cuda or cuda:<n>", default="auto"),
            num_workers=reader.integer("NUM_WORKERS", 0, 256, default=None),
            num_processes=reader.integer("NUM_PROCESSES", 1, 64, default=1),
            cache_dir=reader.absolute_path("CACHE_DIR"),
            backend_base_url=reader.pattern("BACKEND_BASE_URL", _HTTP_URL, "an http(s) URL", default=None),
            heartbeat_s=reader.number("HEARTBEAT_S", 0.05, 3600.0, default=10.0),
            grace_s=reader.number("GRACE_S", 0.0, 3600.0, default=30.0),
            max_runtime_s=reader.number("MAX_RUNTIME_S", 0.0, 1e9, default=None, above_minimum=True),
            checkpoint_every_s=reader.number("CHECKPOINT_EVERY_S", 0.05, 1e9, default=300.0),
            allow_network=reader.boolean("ALLOW_NETWORK", default=False),
            stop_reason_file=reader.absolute_path("STOP_REASON_FILE"),
            events=events,
            storage=_storage_settings(reader),
        )
        _check_processes(settings, problems)
        problems.raise_if_any()
        remove_secrets(environ)
        return settings

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that may never appear in a message."""
        found = (
            self.storage.access_key_id,
            self.storage.secret_access_key,
            self.events.callback_token,
            self.events.redis_url,
        )
        return tuple(value for value in found if value)


def remove_secrets(environ: MutableMapping[str, str]) -> None:
    """Deletes every secret variable, so that third-party code and child processes never see one.

    Of the process's own environment the initial block is wiped too: /proc/<pid>/environ would go on showing it.
    """
    for name in SECRET_VARIABLES:
        environ.pop(name, None)
    if environ is os.environ:
        wipe_initial_environment(SECRET_VARIABLES)


def _check_processes(settings: TrainerEnvironment, problems: Problems) -> None:
    """The batch is that of all processes together and must fall into equal parts."""
    processes, batch_size = settings.num_processes, settings.batch_size
    if processes == 1:
        return
    if batch_size is not None and batch_size % processes:
        problems.add("BATCH_SIZE", str(batch_size), f"a multiple of NUM_PROCESSES ({processes})")
    if ":" in settings.device:
        problems.add("DEVICE", repr(settings.device), f"cuda, without a number, for {processes} processes")


def _trace_id(reader: VariableReader, traceparent: str | None) -> str:
    inherited = traceparent.split("-")[1] if traceparent else ABSENT
    return reader.pattern("TRACE_ID", r"[0-9a-f]{32}", "32 lower-case hex digits", default=inherited)


def _event_settings(reader: VariableReader) -> EventSettings:
    job_id = reader.integer("JOB_ID", 1, 2**53 - 1)
    attempt = reader.integer("ATTEMPT", 1, 10_000)
    mode = reader.choice("EVENTS_MODE", EVENT_MODES)
    redis = mode == "redis"
    http = mode == "http"
    return EventSettings(
        mode=mode,
        job_id=job_id,
        attempt=attempt,
        redis_url=reader.pattern(
            "EVENTS_REDIS_URL",
            _REDIS_URL,
            "redis://user:password@host:port",
            default=ABSENT if redis else None,
            secret=True,
        ),
        stream=reader.pattern("EVENTS_STREAM", r"\S{1,512}", "a stream key", default=ABSENT if redis else None),
        callback_url=reader.pattern("CALLBACK_URL", _HTTP_URL, "an http(s) URL", default=ABSENT if http else None),
        callback_token=reader.pattern(
            "CALLBACK_TOKEN", r"\S+", "the attempt's token", default=ABSENT if http else None, secret=True
        ),
    )


def _storage_settings(reader: VariableReader) -> StorageSettings:
    kind = reader.choice("STORAGE_TYPE", STORAGE_TYPES)
    # The Cloudflare and MinIO worlds have their own spellings of the same five settings.
    reader.synonym("STORAGE_BUCKET", "S3_BUCKET", "MINIO_BUCKET", "R2_BUCKET")
    reader.synonym("S3_ENDPOINT", "MINIO_ENDPOINT", "R2_ENDPOINT")
    reader.synonym("S3_REGION", "MINIO_REGION", "R2_REGION")
    reader.synonym("S3_ACCESS_KEY_ID", "MINIO_ACCESS_KEY_ID", "MINIO_ACCESS_KEY", "R2_ACCESS_KEY_ID")
    reader.synonym("S3_SECRET_ACCESS_KEY", "MINIO_SECRET_ACCESS_KEY", "MINIO_SECRET_KEY", "R2_SECRET_ACCESS_KEY")
    return StorageSettings(
        type=kind,
        bucket=reader.pattern("STORAGE_BUCKET", r"[a-z0-9][a-z0-9.-]{1,62}", "a bucket name"),
        endpoint=reader.pattern("S3_ENDPOINT", _HTTP_URL, "an http(s) URL", default=None if kind == "s3" else ABSENT),
        region=reader.pattern(
            "S3_REGION", r"[a-z0-9-]{1,64}", "a region name", default="auto" if kind == "r2" else "us-east-1"
        ),
        force_path_style=reader.boolean("S3_FORCE_PATH_STYLE", default=kind == "minio"),
        access_key_id=reader.pattern("S3_ACCESS_KEY_ID", r"\S+", "an access key id", secret=True),
        secret_access_key=reader.pattern("S3_SECRET_ACCESS_KEY", r"\S+", "a secret access key", secret=True),
    )
