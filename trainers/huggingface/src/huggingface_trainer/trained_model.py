"""The model that a training left behind, opened for evaluate, predict and export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from vision_trainer.contracts import DatasetSample, Keypoints
from vision_trainer.dataset import DatasetReader, open_dataset
from vision_trainer.failures import FailureCode, TrainerFailure
from vision_trainer.loader import Loader, loader_threads
from vision_trainer.model_source import open_model
from vision_trainer.resume import CheckpointTorn
from vision_trainer.run import TrainerJob
from vision_trainer.sample_checks import check_sample

from .devices import amp_dtype, choose_device, gpu_probe
from .examples import Batch, ImageSource
from .loader import EvaluationBatches
from .measuring import Preparation, measure
from .model_list import ModelSpec, family_of, find_model
from .models import ModelInput, build_model, config_from_dict
from .tasks import TASKS, TaskData
from .tasks.task import Outcome, Task
from .training_state import CONFIG, evaluated_weights, read_tokens


@dataclass(slots=True)
class TrainedModel:
    """A model with its weights, ready to look at images."""

    spec: ModelSpec
    task: Task
    model: nn.Module
    weights: dict[str, Tensor]
    config: dict[str, Any]
    device: torch.device
    preparation: Preparation
    precision: Callable[[], AbstractContextManager[object]]
    uri: str

    def look_at(
        self, job: TrainerJob, reader: DatasetReader, samples: list[DatasetSample], *, with_loss: bool
    ) -> list[Outcome]:
        """What it says about these samples. Raises TrainingStopped."""
        batches = EvaluationBatches(
            self.task,
            ImageSource(reader, samples),
            self.task.examples(samples),
            pin=self.device.type == "cuda",
            targets=with_loss,
        )
        with Loader(loader_threads(self.device.type)) as loader:
            return self.measure(job, batches(loader), with_loss=with_loss)

    def measure(self, job: TrainerJob, batches: Iterator[Batch], *, with_loss: bool) -> list[Outcome]:
        """The outcomes of these batches, in order. Raises TrainingStopped."""
        outcomes = measure(
            self.model,
            self.task,
            batches,
            self.preparation,
            lambda: job.stop.stop_requested,
            self.precision,
            with_loss=with_loss,
        )
        job.leave_if_stopped()
        return outcomes or []


def open_trained(job: TrainerJob, *, on_cpu: bool = False) -> TrainedModel:
    """The model behind MODEL_URI with the weights that its training validated.

    Raises TrainerFailure: BAD_CONFIG for a checkpoint of something else, MODEL_UNAVAILABLE when there is no whole one.
    """
    job.events.phase("downloading", 0.0)
    found = open_model(job, check=_check_files)
    about = found.manifest.model.model_dump() if found.manifest.model else {}
    spec = find_model(about.get("model_name"), job.env.task_type)
    config = json.loads((found.folder / CONFIG).read_text(encoding="utf-8"))
    try:
        keypoints = about.get("keypoints")
        data = TaskData(
            classes=found.manifest.classes,
            shape=ModelInput.from_dict(about["input"]),
            keypoints=Keypoints.model_validate(keypoints) if keypoints else None,
            tokens=read_tokens(found.folder, config),
            two_stage=family_of(spec).two_stage,
            longest_caption=int(about["longest_caption"]),
        )
        amp = str(about["amp"])
        weights = evaluated_weights(found.folder)
        model = build_model(spec, config_from_dict(spec, config), seed=0)
        model.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"MODEL_URI: found a checkpoint that is no {spec.name}: {str(error)[:300]}"
        ) from error
    device = torch.device("cpu") if on_cpu else choose_device(job.env.device)
    if device.type == "cuda":
        job.heartbeat.gpu_probe = gpu_probe(device)
    model = model.to(device).eval()
    task = TASKS[job.env.task_type](data)
    dtype = amp_dtype(device, amp)
    precision = nullcontext if dtype is None else partial(torch.autocast, device.type, dtype=dtype)
    job.events.phase("downloading", 50.0)
    return TrainedModel(spec, task, model, weights, config, device, Preparation(task, device), precision, found.uri)


def open_split(
    job: TrainerJob, trained: TrainedModel, wanted: str | None
) -> tuple[DatasetReader, str, list[DatasetSample]]:
    """(reader, the split's name, its samples) of DATASET_URI, annotations checked.

    Raises DATASET_INVALID for a dataset of another task or with a broken annotation, BAD_CONFIG for a split that it has
    not or for other classes than the model's.
    """
    task_type = job.env.task_type
    reader = open_dataset(job.storage, job.env.dataset_uri, job.cache_dir, task_type=task_type)
    job.events.phase("downloading", 100.0)
    if reader.classes != trained.task.data.classes:
        raise TrainerFailure(
            FailureCode.BAD_CONFIG,
            f"The dataset has the classes {', '.join(reader.classes)[:300]}; the model was trained for "
            f"{', '.join(trained.task.data.classes)[:300]}.",
        )
    split = wanted or ("val" if reader.split("val") else "test")
    samples = reader.split(split)
    if not samples:
        names = ", ".join(sorted({sample.split for sample in reader.samples}))
        raise TrainerFailure(
            FailureCode.BAD_CONFIG, f"CONFIG_JSON.split: found {split!r}, expected a split of the dataset ({names})."
        )
    for sample in samples:
        problem = check_sample(sample, reader.manifest)
        if problem:
            raise TrainerFailure(FailureCode.DATASET_INVALID, f"{sample.id} ({sample.member}) {problem}.")
    return reader, split, samples


def _check_files(folder: Path) -> None:
    """Raises CheckpointTorn where a file is not what its name says."""
    try:
        evaluated_weights(folder)
        json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except Exception as error:
        raise CheckpointTorn(f"its files cannot be read: {type(error).__name__}") from error
