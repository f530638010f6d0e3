"""Real parts for the tests: an S3 server, and the handwritten digits of scikit-learn as a canonical dataset."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from dataset_writer import Picture, write_dataset
from forked_job import ForkedTrainer, start_fork_server
from real_services import S3Server, s3_server
from trainer_process import TrainerProcess, job_environment
from vision_trainer.storage import Storage

# What start.py decides before torch and onnxruntime are loaded; the tests load them, too.
_BEFORE_TORCH = {"ORT_DISABLE_TELEMETRY": "1", "GOMP_SPINCOUNT": "10000", "HF_HUB_OFFLINE": "1"}
os.environ.update(_BEFORE_TORCH)
_PRELOADED = [f"timm_trainer.{job}" for job in ("train", "evaluate_job", "predict_job", "export_job")]
_JOB_IDS = count(1000)


def pytest_configure(config: pytest.Config) -> None:
    """The imports of all jobs begin with the test run."""
    if not config.option.collectonly:
        start_fork_server(_PRELOADED, _BEFORE_TORCH)


@dataclass(frozen=True)
class Digits:
    """Two datasets in the S3 server: all digits, and a few of them for tests that only need any data."""

    all_uri: str
    few_uri: str


@dataclass(frozen=True)
class Jobs:
    """Starts jobs against the S3 server."""

    server: S3Server
    digits: Digits
    folder: Path

    def new_id(self) -> int:
        """A job id not used before in this run."""
        return next(_JOB_IDS)

    def start(self, job_id: int | None = None, *, dataset: str | None = None, **changes: str | None) -> TrainerProcess:
        """Starts a job; by default a short training on a few digits."""
        environment = self._environment(job_id, dataset, **changes)
        return ForkedTrainer("timm_trainer", environment, self.folder)

    def start_cold(self, **changes: str | None) -> TrainerProcess:
        """Starts such a job as the worker does: `python -m timm_trainer`, nothing imported before."""
        return TrainerProcess("timm_trainer", self._environment(None, None, **changes), self.folder)

    def _environment(self, job_id: int | None, dataset: str | None, **changes: str | None) -> dict[str, str]:
        return job_environment(
            self.server.environment(),
            self.new_id() if job_id is None else job_id,
            dataset or self.digits.few_uri,
            self.server.bucket,
            **{"CACHE_DIR": str(self.folder / "cache"), "CONFIG_JSON": '{"image_size": 32}', **changes},
        )

    def derive(self, kind: str, trained: int, *, dataset: str | None = None, **changes: str | None) -> TrainerProcess:
        """Starts an evaluate, predict or export job on the best checkpoint of a training."""
        no_training: dict[str, str | None] = {"EPOCHS": None, "BATCH_SIZE": None, "LEARNING_RATE": None}
        best = f"{self.output_uri(trained)}/checkpoints/best.json"
        named = {**no_training, "JOB_KIND": kind, "MODEL_URI": best, "CONFIG_JSON": "{}", **changes}
        return self.start(None, dataset=dataset, **named)

    def artifact(self, trainer: TrainerProcess, storage: Storage, name: str) -> bytes:
        """The content of an artifact of a job that succeeded."""
        artifacts = trainer.events_of("succeeded")[0]["artifacts"]
        return storage.read_bytes(next(artifact["uri"] for artifact in artifacts if artifact["name"] == name))

    def output_uri(self, job_id: int) -> str:
        """Where the job's objects lie."""
        return f"s3://{self.server.bucket}/jobs/{job_id}"


@dataclass(frozen=True)
class Trained:
    """A training that is over."""

    job_id: int
    process: TrainerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def storage(server: S3Server) -> Storage:
    """A client of it."""
    return server.storage()


@pytest.fixture(scope="session")
def digits(server: S3Server, storage: Storage) -> Digits:
    """The digits, uploaded once."""
    pictures = digit_pictures(32)
    uris = Digits(f"s3://{server.bucket}/datasets/1/v1/", f"s3://{server.bucket}/datasets/2/v1/")
    classes = [str(digit) for digit in range(10)]
    write_dataset(storage, uris.all_uri, classes, pictures)
    train = [picture for picture in pictures if picture.split == "train"][:200]
    val = [picture for picture in pictures if picture.split == "val"][:50]
    write_dataset(storage, uris.few_uri, classes, [*train, *val])
    return uris


@pytest.fixture(scope="session")
def jobs(server: S3Server, digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Starts jobs."""
    return Jobs(server, digits, tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="session")
def trained(jobs: Jobs) -> Trained:
    """The one long training of these tests: all digits, until it knows them."""
    job_id = jobs.new_id()
    trainer = jobs.start(
        job_id,
        dataset=jobs.digits.all_uri,
        EPOCHS="6",
        BATCH_SIZE="64",
        LEARNING_RATE="0.01",
        CONFIG_JSON='{"image_size": 32}',
    )
    assert trainer.wait() == 0, trainer.log
    return Trained(job_id, trainer)


def digit_pictures(size: int) -> list[Picture]:
    """The 1,797 real digits of scikit-learn as PNG files of size x size; every fifth one is for validation."""
    from PIL import Image
    from sklearn.datasets import load_digits

    data = load_digits()
    pictures = []
    for number, (pixels, label) in enumerate(zip(data.images, data.target, strict=True)):
        image = Image.fromarray((pixels * (255 / 16)).astype("uint8")).resize((size, size), Image.Resampling.BICUBIC)
        file = io.BytesIO()
        image.save(file, "PNG")
        split = "val" if number % 5 == 0 else "train"
        pictures.append(Picture(split, int(label), size, size, file.getvalue()))
    return pictures
