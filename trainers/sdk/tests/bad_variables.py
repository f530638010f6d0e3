"""What every trainer must refuse of its environment, by name; each trainer's tests run it against the real program."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from trainer_process import TrainerProcess

_REQUIRED = (
    "CONTRACT_VERSION", "JOB_ID", "ATTEMPT", "JOB_KIND", "FRAMEWORK", "TASK_TYPE", "MODEL_NAME", "DATASET_URI",
    "OUTPUT_URI", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE", "EVENTS_MODE", "STORAGE_TYPE", "STORAGE_BUCKET",
    "S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY",
)  # fmt: skip
# Malformed or hostile, at least one of each variable of the contract.
_WRONG = (
    ("CONTRACT_VERSION", "2"),
    ("JOB_ID", "1; rm -rf /"),
    ("ATTEMPT", "0"),
    ("TRACE_ID", "xyz"),
    ("TRACEPARENT", "00-1-2-3"),
    ("JOB_KIND", "ingest"),
    ("FRAMEWORK", "$(reboot)"),
    ("TASK_TYPE", "../../tasks"),
    ("MODEL_NAME", "../../../etc/passwd\x01"),
    ("DATASET_ID", "a/b"),
    ("DATASET_VERSION", "one two"),
    ("DATASET_URI", "/etc/passwd"),
    ("OUTPUT_URI", "s3://"),
    ("RESUME_URI", "file:///etc/passwd"),
    ("PRETRAINED_URI", "model.bin"),
    ("MODEL_URI", "C:\\model"),
    ("CONFIG_JSON", "[" * 30_000),
    ("CONFIG_JSON", '{"a": NaN}'),
    ("EPOCHS", "1" * 5_000),
    ("BATCH_SIZE", "-1"),
    ("LEARNING_RATE", "nan"),
    ("SEED", "-1"),
    ("DEVICE", "abacus"),
    ("NUM_WORKERS", "many"),
    ("NUM_PROCESSES", "0"),
    ("CACHE_DIR", "relative/path"),
    ("STOP_REASON_FILE", "reason"),
    ("BACKEND_BASE_URL", "gateway"),
    ("EVENTS_MODE", "pigeon"),
    ("STORAGE_TYPE", "floppy"),
    ("STORAGE_BUCKET", "UPPER"),
    ("S3_ENDPOINT", "localhost:9000"),
    ("S3_REGION", "us east"),
    ("S3_FORCE_PATH_STYLE", "si"),
    ("S3_ACCESS_KEY_ID", "with blank"),
    ("S3_SECRET_ACCESS_KEY", "with blank"),
    ("HEARTBEAT_S", "soon"),
    ("GRACE_S", "nan"),
    ("MAX_RUNTIME_S", "-1"),
    ("CHECKPOINT_EVERY_S", "often"),
    ("ALLOW_NETWORK", "maybe"),
)
# Where these are wrong nobody knows where to send an event: the log has to do.
_DOOR = frozenset({"JOB_ID", "ATTEMPT", "EVENTS_MODE"})
_AT_ONCE = 4


def check_refusals(start: Callable[[dict[str, str | None]], TrainerProcess]) -> None:
    """Every bad variable ends a job with exit 2 and one sentence that names it, and leaves nothing behind.

    `start` begins an otherwise good training with these changes to its environment.
    """
    cases: list[tuple[str, str | None]] = [*((name, None) for name in _REQUIRED), *_WRONG]
    for some in _parts(cases):
        for (name, value), trainer in [(case, start(dict([case]))) for case in some]:
            about = f"{name}={str(value)[:40]}"
            assert trainer.wait() == 2, f"{about}: {trainer.log}"
            assert f"{name}: found " in trainer.log, about
            if name not in _DOOR:
                [failed] = trainer.events_of("failed")
                assert failed["code"] == "BAD_CONFIG", about
                assert failed["message"].startswith(f"{name}: found "), about
            assert trainer.left_behind() == [], about


def _parts(cases: list[tuple[str, str | None]]) -> Iterator[list[tuple[str, str | None]]]:
    """A few at a time: they share two cores with everything else."""
    for at in range(0, len(cases), _AT_ONCE):
        yield cases[at : at + _AT_ONCE]
