"""Every variable of the contract: a bad value is named, with what was found and what is expected."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_process import job_environment

from vision_trainer.environment import SECRET_VARIABLES, TrainerEnvironment
from vision_trainer.failures import FailureCode, TrainerFailure

STORAGE = {
    "STORAGE_TYPE": "minio",
    "STORAGE_BUCKET": "bucket",
    "S3_ENDPOINT": "http://127.0.0.1:9000",
    "S3_ACCESS_KEY_ID": "the-key-id",
    "S3_SECRET_ACCESS_KEY": "the-secret-key",
}
REDIS = {"EVENTS_MODE": "redis", "EVENTS_REDIS_URL": "redis://u:p@h:1/0", "EVENTS_STREAM": "vp:in:{1}:a1"}
HTTP = {"EVENTS_MODE": "http", "CALLBACK_URL": "http://gateway:3000", "CALLBACK_TOKEN": "a.b.c"}


def environment(**changes: str | None) -> dict[str, str]:
    return job_environment(STORAGE, 7, "s3://bucket/datasets/1/v1/", "bucket", **changes)


def test_reads_a_complete_environment_and_takes_the_secrets_away() -> None:
    environ = environment(**REDIS, CALLBACK_TOKEN="a.b.c", AWS_SECRET_ACCESS_KEY="inherited")
    env = TrainerEnvironment.from_environ(environ)
    assert (env.job_id, env.attempt, env.epochs, env.batch_size) == (7, 1, 2, 32)
    assert env.storage.secret_access_key == "the-secret-key"
    assert env.events.stream == "vp:in:{1}:a1"
    assert env.checkpoint_every_s == 300
    assert not set(environ) & set(SECRET_VARIABLES)
    for secret in ("the-secret-key", "the-key-id", "redis://u:p@h:1/0", "a.b.c"):
        assert secret not in repr(env)
        assert secret in env.secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONTRACT_VERSION", "2"),
        ("JOB_ID", "six"),
        ("JOB_ID", None),
        ("ATTEMPT", "0"),
        ("TRACE_ID", "xyz"),
        ("TRACEPARENT", "00-1-2-3"),
        ("JOB_KIND", "dance"),
        ("FRAMEWORK", ""),
        ("TASK_TYPE", "Image Classification"),
        ("MODEL_NAME", None),
        ("MODEL_NAME", "../../etc"),
        ("DATASET_ID", "a/b"),
        ("DATASET_VERSION", "one two"),
        ("DATASET_URI", "http://elsewhere/x"),
        ("DATASET_URI", None),
        ("OUTPUT_URI", "s3://"),
        ("RESUME_URI", "file:///etc/passwd"),
        ("PRETRAINED_URI", "model.bin"),
        ("MODEL_URI", "C:\\model"),
        ("CONFIG_JSON", "{"),
        ("CONFIG_JSON", "[1]"),
        ("CONFIG_JSON", '{"a": "' + "x" * 40000 + '"}'),
        ("CONFIG_JSON", '{"a":' * 5_000),
        ("CONFIG_JSON", '{"a": NaN}'),
        ("CONFIG_JSON", '{"a": -1e999}'),
        ("CONFIG_JSON", '{"a": "\udcff"}'),
        ("EPOCHS", "١٢"),
        ("LEARNING_RATE", "1_0"),
        ("S3_ENDPOINT", "https://["),
        ("S3_ENDPOINT", "http://host:99999"),
        ("OUTPUT_URI", "s3://bucket/a\x01b"),
        ("EPOCHS", "0"),
        ("EPOCHS", "1.5"),
        ("EPOCHS", None),
        ("BATCH_SIZE", "-1"),
        ("LEARNING_RATE", "nan"),
        ("LEARNING_RATE", "0"),
        ("LEARNING_RATE", "fast"),
        ("SEED", "-1"),
        ("DEVICE", "tpu"),
        ("NUM_WORKERS", "many"),
        ("NUM_PROCESSES", "0"),
        ("NUM_PROCESSES", "two"),
        ("NUM_PROCESSES", "1000"),
        ("CACHE_DIR", "relative/path"),
        ("BACKEND_BASE_URL", "gateway"),
        ("HEARTBEAT_S", "0"),
        ("GRACE_S", "-1"),
        ("MAX_RUNTIME_S", "0"),
        ("CHECKPOINT_EVERY_S", "inf"),
        ("ALLOW_NETWORK", "maybe"),
        ("STOP_REASON_FILE", "reason"),
        ("EVENTS_MODE", "pigeon"),
        ("STORAGE_TYPE", "floppy"),
        ("STORAGE_BUCKET", "UPPER"),
        ("S3_ENDPOINT", "localhost:9000"),
        ("S3_ENDPOINT", None),
        ("S3_REGION", "us east"),
        ("S3_FORCE_PATH_STYLE", "si"),
        ("S3_ACCESS_KEY_ID", None),
        ("S3_SECRET_ACCESS_KEY", "with blank"),
    ],
)
def test_names_the_bad_variable(name: str, value: str | None) -> None:
    environ = environment(**{name: value})
    with pytest.raises(TrainerFailure) as caught:
        TrainerEnvironment.from_environ(environ)
    assert caught.value.code is FailureCode.BAD_CONFIG
    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(f"{name}: found ")
    assert ", expected " in caught.value.message


@pytest.mark.parametrize(
    ("mode", "name", "value"),
    [
        (REDIS, "EVENTS_REDIS_URL", "http://secret-password@h"),
        (REDIS, "EVENTS_REDIS_URL", None),
        (REDIS, "EVENTS_STREAM", None),
        (HTTP, "CALLBACK_URL", "gateway"),
        (HTTP, "CALLBACK_URL", None),
        (HTTP, "CALLBACK_TOKEN", "secret-password with blank"),
        (HTTP, "CALLBACK_TOKEN", None),
    ],
)
def test_names_the_bad_event_variable_and_repeats_no_secret(mode: dict[str, str], name: str, value: str | None) -> None:
    with pytest.raises(TrainerFailure) as caught:
        TrainerEnvironment.from_environ(environment(**{**mode, name: value}))
    assert caught.value.message.startswith(f"{name}: found ")
    assert "secret-password" not in caught.value.message


def test_lists_all_bad_variables_at_once() -> None:
    with pytest.raises(TrainerFailure, match=r"EPOCHS: .*SEED: "):
        TrainerEnvironment.from_environ(environment(EPOCHS="no", SEED="no"))


def test_accepts_the_spellings_of_minio_and_r2() -> None:
    names = {"S3_ENDPOINT": None, "S3_ACCESS_KEY_ID": None, "S3_SECRET_ACCESS_KEY": None, "STORAGE_BUCKET": None}
    for prefix, kind in (("MINIO", "minio"), ("R2", "r2")):
        spelled = {
            f"{prefix}_ENDPOINT": "http://127.0.0.1:1",
            f"{prefix}_ACCESS_KEY_ID": "id-of-key",
            f"{prefix}_SECRET_ACCESS_KEY": "secret",
            f"{prefix}_BUCKET": "other-bucket",
        }
        environ = environment(**names, **spelled, STORAGE_TYPE=kind)
        storage = TrainerEnvironment.from_environ(environ).storage
        assert (storage.bucket, storage.access_key_id) == ("other-bucket", "id-of-key")
        assert f"{prefix}_SECRET_ACCESS_KEY" not in environ
    with pytest.raises(TrainerFailure, match="MINIO_ENDPOINT: found"):
        TrainerEnvironment.from_environ(environment(**names, MINIO_ENDPOINT="nowhere"))


@pytest.mark.parametrize("kind", ["evaluate", "predict", "export"])
def test_jobs_about_a_model_need_its_address(kind: str) -> None:
    left_out = dict.fromkeys(("MODEL_NAME", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE"))
    with pytest.raises(TrainerFailure, match="MODEL_URI: found nothing, expected a training's checkpoint"):
        TrainerEnvironment.from_environ(environment(**left_out, JOB_KIND=kind))
    uri = "s3://bucket/jobs/1/checkpoints/best.json"
    assert TrainerEnvironment.from_environ(environment(**left_out, JOB_KIND=kind, MODEL_URI=uri)).model_uri == uri


def test_the_batch_falls_into_equal_parts_of_the_processes() -> None:
    env = TrainerEnvironment.from_environ(environment(NUM_PROCESSES="4"))
    assert (env.num_processes, env.batch_size) == (4, 32)
    with pytest.raises(TrainerFailure, match=r"BATCH_SIZE: found 32, expected a multiple of NUM_PROCESSES \(3\)"):
        TrainerEnvironment.from_environ(environment(NUM_PROCESSES="3"))
    with pytest.raises(TrainerFailure, match="DEVICE: found 'cuda:1', expected cuda, without a number"):
        TrainerEnvironment.from_environ(environment(NUM_PROCESSES="2", DEVICE="cuda:1"))


# Values that break readers: too long, control characters, other alphabets' digits, formats of other languages.
HOSTILE = [
    "\n",
    " ",
    "x" * 100_000,
    "\x01\x02",
    "١٢",
    "1_000",
    "0x10",
    "1e3",
    "+1",
    "-0",
    "NaN",
    "Infinity",
    "null",
    "true\n",
    "$(reboot)",
    "`reboot`",
    "{{7*7}}",
    "%s%n",
    "'; drop table jobs; --",
    "../../../etc/passwd",
    "\ud800",
    "s3://bucket/\n",
    "s3://BUCKET/x",
    "http://",
    "https://[",
    "redis://",
    "[" * 50_000,
    '{"a":' * 5_000,
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": "\ud800"}',
]


@pytest.mark.parametrize("name", sorted(environment(**REDIS, MODEL_URI="s3://bucket/x", CACHE_DIR="/x")))
def test_hostile_values_are_read_or_named_never_worse(name: str) -> None:
    """Either the value is one the contract allows, or exit 2 with its name; no other exception, no long message."""
    for value in HOSTILE:
        try:
            TrainerEnvironment.from_environ(environment(**{**REDIS, name: value}))
        except TrainerFailure as failure:
            assert failure.exit_code == 2
            assert name in failure.message
            assert len(failure.message.encode()) < 1000


@given(name=st.sampled_from(sorted(environment(**HTTP))), value=st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_named_never_worse(name: str, value: str) -> None:
    try:
        TrainerEnvironment.from_environ(environment(**{**HTTP, name: value}))
    except TrainerFailure as failure:
        assert failure.exit_code == 2
        assert name in failure.message


def test_an_ingest_job_needs_no_training_variables() -> None:
    left_out = dict.fromkeys(("MODEL_NAME", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE"))
    env = TrainerEnvironment.from_environ(environment(**left_out, JOB_KIND="ingest", FRAMEWORK="dataset"))
    assert env.epochs is None
