# SPDX-License-Identifier: AGPL-3.0-only
"""Real parts for the tests: an S3 server, and scenes of handwritten digits as canonical datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from dataset_writer import upload_dataset
from digit_scenes import make_scenes, make_splits, write_canonical
from forked_job import ForkedTrainer, start_fork_server
from real_services import S3Server, s3_server
from trainer_process import TrainerProcess, job_environment
from vision_trainer.storage import Storage

_JOB_IDS = count(1000)
# All but the framework itself, which reads its settings from the job's own folder as it is imported.
_PRELOADED = ["torchvision", "cv2", "onnx", "onnxruntime", "torch.onnx", "safetensors.torch", "PIL.Image", "pydantic"]
_BEFORE_TORCH = {"GOMP_SPINCOUNT": "10000", "ORT_DISABLE_TELEMETRY": "1", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
# Few classes on small canvases: what a tiny network can learn in seconds.
DIGITS = (0, 1, 7)
MODELS = {
    "object_detection": "test_yolo11",
    "instance_segmentation": "test_yolo11-seg",
    "pose_estimation": "test_yolo11-pose",
    "image_classification": "test_yolo11-cls",
}


def pytest_configure(config: pytest.Config) -> None:
    """The imports of all jobs begin with the test run."""
    if not config.option.collectonly:
        start_fork_server(_PRELOADED, _BEFORE_TORCH)


@dataclass
class Datasets:
    """Datasets in the S3 server, written when a test first asks for one."""

    storage: Storage
    bucket: str
    folder: Path
    _uris: dict[str, str] = field(default_factory=dict)

    def overfit(self, task: str, scenes: int = 8, repeat: int = 1, digits: tuple[int, ...] = DIGITS) -> str:
        """The same few scenes for training and validation: what a model that can learn at all learns.

        `repeat` times in an epoch, so that less time goes into validation.
        """
        same = make_scenes(task, scenes, 5, 64, digits=digits, per_scene=(1, 2))
        splits = {"train": same * repeat, "val": same}
        return self._upload(f"{task}-overfit-{scenes}-{repeat}-{digits}", task, splits, digits)

    def digits(self, train: int = 500, val: int = 100) -> str:
        """Single digits for classification; no scan is in both splits."""
        task = "image_classification"
        return self._upload(f"digits-{train}-{val}", task, make_splits(task, {"train": train, "val": val}, 3, 32))

    def _upload(self, name: str, task: str, splits: dict[str, Any], digits: tuple[int, ...] = tuple(range(10))) -> str:
        if name not in self._uris:
            folder = self.folder / name
            write_canonical(folder, task, splits, digits=digits)
            uri = f"s3://{self.bucket}/datasets/{len(self._uris) + 1}/v1/"
            upload_dataset(self.storage, uri, folder)
            self._uris[name] = uri
        return self._uris[name]


@dataclass(frozen=True)
class Jobs:
    """Starts jobs against the S3 server."""

    server: S3Server
    storage: Storage
    datasets: Datasets
    folder: Path

    def new_id(self) -> int:
        """A job id not used before in this run."""
        return next(_JOB_IDS)

    def start(self, task: str, dataset: str, job_id: int | None = None, **changes: str | None) -> TrainerProcess:
        """Starts a job; by default a short training of the task's tiny model."""
        environment = self._environment(task, dataset, job_id, **changes)
        return ForkedTrainer("ultralytics_trainer", environment, self.folder)

    def start_cold(self, task: str, dataset: str, **changes: str | None) -> TrainerProcess:
        """Starts such a job as the worker does: `python -m ultralytics_trainer`, nothing imported before."""
        return TrainerProcess("ultralytics_trainer", self._environment(task, dataset, None, **changes), self.folder)

    def _environment(self, task: str, dataset: str, job_id: int | None, **changes: str | None) -> dict[str, str]:
        number = self.new_id() if job_id is None else job_id
        settings: dict[str, str | None] = {
            "FRAMEWORK": "ultralytics",
            "TASK_TYPE": task,
            "MODEL_NAME": MODELS[task],
            "EPOCHS": "2",
            "BATCH_SIZE": "4",
            "LEARNING_RATE": "0.002",
            "CACHE_DIR": str(self.folder / "cache"),
            **changes,
        }
        return job_environment(self.server.environment(), number, dataset, self.server.bucket, **settings)

    def derive(self, kind: str, task: str, dataset: str, source: int, **changes: str | None) -> TrainerProcess:
        """Starts an evaluation, a prediction or an export of the best checkpoint of a training."""
        model = f"{self.output_uri(source)}/checkpoints/best.json"
        none: dict[str, str | None] = dict.fromkeys(("EPOCHS", "BATCH_SIZE", "LEARNING_RATE"))
        settings: dict[str, str | None] = {"JOB_KIND": kind, "MODEL_URI": model, **none, **changes}
        return self.start(task, dataset, None, **settings)

    def output_uri(self, job_id: int) -> str:
        """Where the job's objects lie."""
        return f"s3://{self.server.bucket}/jobs/{job_id}"

    def read_json(self, job_id: int, name: str) -> Any:
        """A JSON file the job left behind."""
        return json.loads(self.storage.read_bytes(f"{self.output_uri(job_id)}/{name}"))


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
def datasets(server: S3Server, storage: Storage, tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    """The datasets."""
    return Datasets(storage, server.bucket, tmp_path_factory.mktemp("datasets"))


@pytest.fixture(scope="session")
def jobs(server: S3Server, storage: Storage, datasets: Datasets, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Starts jobs."""
    return Jobs(server, storage, datasets, tmp_path_factory.mktemp("jobs"))
