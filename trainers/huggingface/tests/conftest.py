"""Real parts for the tests: an S3 server, scenes of handwritten digits as canonical datasets, jobs as processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from dataset_writer import upload_dataset
from digit_scenes import Scene, make_scenes, write_canonical
from forked_job import ForkedTrainer, start_fork_server
from real_services import S3Server, s3_server
from trainer_process import job_environment
from vision_trainer.storage import Storage

_NUMBERS = count(1000)
_PRELOADED = [
    *(f"huggingface_trainer.{job}" for job in ("train", "evaluate_job", "predict_job", "export_job", "caption_export")),
    *(
        f"transformers.models.{family}.modeling_{family}"
        for family in ("vit", "deit", "detr", "rt_detr", "segformer", "blip", "vitpose")
    ),
]
# What start.py decides before torch is loaded.
_BEFORE_TORCH = {
    "GOMP_SPINCOUNT": "10000",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "USE_HUB_KERNELS": "NO",
    "TRANSFORMERS_VERBOSITY": "error",
}

# The tiny model of each task, with the settings of a short job.
TINY = {
    "image_classification": "test_vit",
    "object_detection": "test_rtdetr",
    "semantic_segmentation": "test_segformer",
    "image_captioning": "test_blip",
    "pose_estimation": "test_vitpose",
}


def pytest_configure(config: pytest.Config) -> None:
    """The imports of all jobs begin with the test run."""
    if not config.option.collectonly:
        start_fork_server(_PRELOADED, _BEFORE_TORCH)


@dataclass
class Platform:
    """An S3 server with datasets in it, and jobs that use them."""

    server: S3Server
    storage: Storage
    folder: Path
    _datasets: dict[str, str] = field(default_factory=dict)

    def new_id(self) -> int:
        """A number not used before in this run."""
        return next(_NUMBERS)

    def dataset(self, name: str, task: str, make: Callable[[], dict[str, list[Scene]]], **options: Any) -> str:
        """The address of a dataset version, made and uploaded when it is first asked for."""
        if name not in self._datasets:
            number = self.new_id()
            folder = self.folder / f"dataset-{number}"
            write_canonical(folder, task, make(), dataset_id=number, **options)
            uri = f"s3://{self.server.bucket}/datasets/{number}/v1/"
            upload_dataset(self.storage, uri, folder)
            self._datasets[name] = uri
        return self._datasets[name]

    def scenes(self, task: str, train: int, val: int | None = None, seed: int = 1, **options: Any) -> str:
        """A dataset of digit scenes. Without `val` the model is judged by what it learned from (overfitting)."""
        digits = options.get("digits")
        written = {"digits": digits} if digits else {}

        def make() -> dict[str, list[Scene]]:
            learned = make_scenes(task, train, seed, **options)
            return {"train": learned, "val": learned if val is None else make_scenes(task, val, seed + 1, **options)}

        return self.dataset(json.dumps([task, train, val, seed, options]), task, make, **written)

    def memorised(self, task: str, copies: int, count: int, seed: int = 1, **options: Any) -> str:
        """A dataset whose train split is its val split, `copies` times over."""
        digits = options.get("digits")

        def make() -> dict[str, list[Scene]]:
            scenes = make_scenes(task, count, seed, **options)
            return {"train": scenes * copies, "val": scenes}

        name = json.dumps(["memorised", task, copies, count, seed, options])
        return self.dataset(name, task, make, **({"digits": digits} if digits else {}))

    def start(self, task: str, dataset: str, job_id: int | None = None, **changes: Any) -> ForkedTrainer:
        """Starts a job: by default a training of the task's tiny model. `config` becomes CONFIG_JSON."""
        number = self.new_id() if job_id is None else job_id
        config = json.dumps(changes.pop("config", {}))
        environment = job_environment(
            self.server.environment(),
            number,
            dataset,
            self.server.bucket,
            **{
                "CACHE_DIR": str(self.folder / "cache"),
                "FRAMEWORK": "huggingface",
                "TASK_TYPE": task,
                "MODEL_NAME": TINY[task],
                "CONFIG_JSON": config,
                **changes,
            },
        )
        return ForkedTrainer("huggingface_trainer", environment, self.folder)

    def derive(self, kind: str, task: str, dataset: str, trained: int, **changes: Any) -> ForkedTrainer:
        """Starts an evaluate, predict or export job with what training `trained` left behind."""
        model = f"{self.output(trained)}/checkpoints/best.json"
        return self.start(task, dataset, **{"JOB_KIND": kind, "MODEL_URI": model, **changes})

    def output(self, job_id: int) -> str:
        """Where the job's objects lie."""
        return f"s3://{self.server.bucket}/jobs/{job_id}"

    def read_json(self, uri: str) -> Any:
        """A JSON object of the storage."""
        return json.loads(self.storage.read_bytes(uri))


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A real S3 server, and jobs that use it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield Platform(running, running.storage(), tmp_path_factory.mktemp("jobs"))
